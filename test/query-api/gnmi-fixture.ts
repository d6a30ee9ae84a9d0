/**
 * A query-api's gNMI server without Kafka: the real server on a real socket, the real store and feed, over records as the
 * replicator writes them. Devices, status and leaves are put in by functions.
 */
import { type Clock } from '../../core/clock.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { createGnmiContext, createGnmiEndpoint } from '../../query-api/gnmi-endpoint.ts';
import { createGnmiMetrics } from '../../query-api/gnmi-metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { queryApiSettings, type QueryApiSettings } from '../../query-api/config.ts';
import { DeletedNames } from '../../query-api/deleted-names.ts';
import { DeviceChanges } from '../../query-api/device-changes.ts';
import { type OwnershipRow } from '../../query-api/ownership-row.ts';
import { Sightings } from '../../query-api/sightings.ts';
import { type StatusRow } from '../../query-api/status-row.ts';
import { type Device } from '../../schemas/device.ts';
import { type Instance } from '../../schemas/instance.ts';
import { parsePath } from '../../schemas/path.ts';
import { type Profile } from '../../schemas/profile.ts';
import { slotOf } from '../../schemas/slot.ts';
import { type DeviceStatus } from '../../schemas/status.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { GnmiClient } from '../simulator/subscriber.ts';
import { pushedClock, statusOf } from './api-fixture.ts';
import { MemoryState } from './memory-state.ts';

export const slots = 4;
export const epoch = 1_700_000_000_005n;

export interface LeafSet {
  /** `/a/b`, or `origin:/a/b`. */
  readonly path: string;
  readonly value: TypedValue;
  readonly timestampNs?: bigint;
  readonly atomicRoot?: string;
}

export interface Said {
  readonly set?: readonly LeafSet[];
  /** Paths of leaves that are gone. */
  readonly gone?: readonly string[];
}

const defaults = Object.fromEntries(
  Object.entries(queryApiSettings).map(([name, setting]) => [name, setting.default]),
) as QueryApiSettings;

export interface GnmiFixtureOptions {
  readonly settings?: Partial<QueryApiSettings>;
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** False: no slot has been read to its end yet. */
  readonly loaded?: boolean;
}

export async function startGnmi({ settings = {}, env = {}, ...options }: GnmiFixtureOptions = {}) {
  const clock = options.clock ?? pushedClock();
  const registry = createMetrics();
  const metrics = createQueryApiMetrics(registry, { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 });
  const gnmiMetrics = createGnmiMetrics(registry);
  const state = new MemoryState({ clock, slots, epoch, metrics });
  if (options.loaded !== false) state.load();
  const devices = new Map<string, Device>();
  const status = new Map<string, StatusRow>();
  const deletedDevices = new DeletedNames();
  const deviceChanges = new DeviceChanges();
  const tables = {
    loaded: true,
    devices,
    profiles: new Map<string, Profile>(),
    status,
    ownership: new Map<string, OwnershipRow>(),
    instances: new Map<string, Instance>(),
    deletedDevices,
    sightings: new Sightings(clock),
  };
  const parts = {
    settings: { ...defaults, slots, gnmiListen: '127.0.0.1:0', advertisedHost: '127.0.0.1', ...settings },
    env,
    instanceId: 'query-1',
    tables,
    deviceChanges,
    state,
    metrics: gnmiMetrics,
    clock,
    logger: options.logger ?? silentLogger,
  };
  const context = createGnmiContext(parts);
  const server = createGnmiEndpoint(parts, context);
  await server.start();
  const clients: GnmiClient[] = [];
  /** One connection of its own. */
  const connect = (more: ConstructorParameters<typeof GnmiClient>[1] = {}): GnmiClient => {
    const client = new GnmiClient(server.address, more);
    clients.push(client);
    return client;
  };
  let seq = 1n;
  /** What one message of a device changed: one position, one batch. */
  const say = (device: string, { set = [], gone = [] }: Said): void => {
    seq += 1n;
    state.write(
      seq,
      set.map(({ path, value, ...more }) => ({ device, ...named(path), value: encodeTypedValue(value), ...more })),
      gone.map((path) => ({ device, ...named(path) })),
    );
  };
  const setStatus = (device: string, more: Partial<DeviceStatus> = {}): void => {
    const position = { slot: slotOf(device, slots), epoch, seq };
    status.set(device, { status: { ...statusOf(device, 'synced'), ...more }, position });
  };
  const addDevice = (device: string, leaves: readonly LeafSet[] = []): void => {
    devices.set(device, { name: device } as unknown as Device);
    setStatus(device);
    deviceChanges.changed(device, true);
    if (leaves.length > 0) say(device, { set: leaves });
  };
  const removeDevice = (device: string): void => {
    devices.delete(device);
    status.delete(device);
    deviceChanges.changed(device, false);
  };
  const stop = async (): Promise<void> => {
    for (const client of clients) client.close();
    await server.stop();
  };
  return {
    server,
    context,
    state,
    tables,
    clock,
    registry,
    metrics: gnmiMetrics,
    connect,
    say,
    setStatus,
    addDevice,
    removeDevice,
    stop,
  };
}

export type GnmiFixture = Awaited<ReturnType<typeof startGnmi>>;

function named(text: string): { origin: string; path: string } {
  const { origin } = parsePath(text);
  return {
    origin: origin === '' ? 'openconfig' : origin,
    path: origin === '' ? text : text.slice(text.indexOf(':') + 1),
  };
}

export const uint = (value: bigint | number): TypedValue => ({ kind: 'uint', value: BigInt(value) });
export const string = (value: string): TypedValue => ({ kind: 'string', value });
