/**
 * A query-api without Kafka for tests of its HTTP side: the real server, routes, store, progress and desired state, over
 * a topic in memory. What reading and writing a real log adds is tested in test/integration/query-api.test.ts.
 */
import { type Clock, systemClock } from '../../core/clock.ts';
import { type SchemaRecord } from '../../core/kafka/schema-record.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { deviceCodec, type Device } from '../../schemas/device.ts';
import { decodeFrame, framePrefix } from '../../schemas/frame.ts';
import { type Instance } from '../../schemas/instance.ts';
import { profileCodec, type Profile } from '../../schemas/profile.ts';
import { slotOf } from '../../schemas/slot.ts';
import { type DeviceState, type DeviceStatus } from '../../schemas/status.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { type ApiContext } from '../../query-api/api-context.ts';
import { type ConnectionLimits } from '../../query-api/request-limits.ts';
import { ChangeWriter, type RecordSender, type WritableRows } from '../../query-api/change-writer.ts';
import { DeletedNames } from '../../query-api/deleted-names.ts';
import { DesiredState } from '../../query-api/desired-state.ts';
import { Divert, type DivertOptions } from '../../query-api/divert.ts';
import { FastState } from '../../query-api/fast-state.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { decodeOwnershipRow, type OwnershipRow } from '../../query-api/ownership-row.ts';
import { apiDocument } from '../../query-api/openapi.ts';
import { readinessOf } from '../../query-api/readiness.ts';
import { routesOf } from '../../query-api/routes/all.ts';
import { ApiServer } from '../../query-api/server.ts';
import { Sightings } from '../../query-api/sightings.ts';
import { type StatusRow } from '../../query-api/status-row.ts';
import { createStreamMetrics } from '../../query-api/stream-metrics.ts';
import { type StreamLimits, Streams } from '../../query-api/streams.ts';
import { Wishes } from '../../query-api/wishes.ts';
import { MemoryState } from './memory-state.ts';
import { answerProblems } from './described-answer.ts';

export const slots = 4;
export const epoch = 1_700_000_000_005n;

export const connectionLimits: ConnectionLimits = {
  maxConnections: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
};

/** The machine's timers, with clocks that a test can push forward. */
export function pushedClock(): Clock & { push(ms: number): void } {
  let pushedMs = 0;
  return {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + pushedMs,
    nowNs: () => systemClock.nowNs() + BigInt(pushedMs) * 1_000_000n,
    monotonicMs: () => systemClock.monotonicMs() + pushedMs,
    push: (ms) => (pushedMs += ms),
  };
}

/** A compacted topic and the table that follows it; `visible` false: records are durable and not read back. */
export class MemoryTopic<V> implements WritableRows<V>, RecordSender {
  readonly sent: { topic: string; partition: number; key: string; value: Buffer | null }[] = [];
  readonly rows = new Map<string, V>();
  visible = true;
  failure: Error | undefined;
  readonly decode: (message: Buffer, key: string) => V;
  onDelete: (key: string) => void = () => undefined;

  constructor(decode: (message: Buffer, key: string) => V) {
    this.decode = decode;
  }

  get size(): number {
    return this.rows.size;
  }

  get(key: string): V | undefined {
    return this.rows.get(key);
  }

  /** A record that somebody else wrote; undefined: its tombstone. */
  set(key: string, value: V | undefined): void {
    if (value === undefined) this.rows.delete(key);
    else this.rows.set(key, value);
  }

  entries(): Iterable<readonly [string, V]> {
    return this.rows.entries();
  }

  async send(
    topic: string,
    partition: number,
    records: readonly { key: Buffer; value: Buffer | null }[],
  ): Promise<bigint> {
    if (this.failure !== undefined) throw this.failure;
    const first = BigInt(this.sent.length);
    for (const { key, value } of records) {
      this.sent.push({ topic, partition, key: key.toString(), value });
      if (!this.visible) continue;
      if (value !== null) this.rows.set(key.toString(), this.decode(decodeFrame(value).message, key.toString()));
      else if (this.rows.delete(key.toString())) this.onDelete(key.toString());
    }
    return first;
  }

  waitFor(_partition: number, offset: bigint, signal: AbortSignal): Promise<void> {
    if (this.visible && offset < BigInt(this.sent.length)) return Promise.resolve();
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body. */
  readonly body: { readonly [name: string]: unknown; readonly data: Record<string, unknown> };
}

export function statusOf(device: string, state: DeviceState, instance = 'ingest-1'): DeviceStatus {
  return {
    device,
    state,
    sinceNs: 1_795_246_383_702_000_001n,
    instance,
    address: '192.0.2.1:9339',
    code: '',
    detail: '',
    retryAtNs: 0n,
    gnmiVersion: '0.8.0',
    encodings: [],
    models: [],
    gaps: 0n,
    gapFromNs: 0n,
    gapToNs: 0n,
  };
}

export interface ApiOverrides extends Partial<ApiContext['limits'] & ConnectionLimits> {
  readonly writeTimeoutMs?: number;
  readonly schemas?: readonly SchemaRecord[];
  readonly instanceId?: string;
  readonly streams?: Partial<StreamLimits>;
  /** False: no fast answer in front of the routes. */
  readonly fast?: boolean;
  readonly divert?: (own: Omit<DivertOptions, 'candidates' | 'races' | 'streams'>) => DivertOptions;
}

export async function startApi({ divert: divertOf, instanceId = 'query-1', ...overrides }: ApiOverrides = {}) {
  const clock = pushedClock();
  const devices = new MemoryTopic<Device>((message) => deviceCodec.decode(message));
  const profiles = new MemoryTopic<Profile>((message) => profileCodec.decode(message));
  const status = new Map<string, StatusRow>();
  const ownership = new MemoryTopic<OwnershipRow>((message, key) => decodeOwnershipRow(key, message));
  const instances = new Map<string, Instance>();
  const deletedDevices = new DeletedNames();
  devices.onDelete = (name) => deletedDevices.changed(name, false);
  const sightings = new Sightings(clock);
  const tables = { loaded: true, devices, profiles, status, ownership, instances, deletedDevices, sightings };
  const metrics = createMetrics();
  const ownMetrics = createQueryApiMetrics(metrics, {
    leaves: () => state.store.size,
    stalenessMs: () => 0,
    slotsCaughtUp: () => slots,
  });
  const state: MemoryState = new MemoryState({ clock, slots, epoch, metrics: ownMetrics });
  state.load();
  const topics = { devices, profiles, ownership };
  const writer = new ChangeWriter({
    sender: { send: (topic, ...rest) => topics[topic as keyof typeof topics].send(topic, ...rest) },
    framePrefix: () => framePrefix(7),
    writeTimeoutMs: overrides.writeTimeoutMs ?? 200,
    clock,
  });
  const changing = { writer, clock, logger: silentLogger, metrics: ownMetrics };
  const names = { devices: 'devices', profiles: 'profiles' };
  const limits = {
    maxBodyBytes: 65_536,
    maxUrlBytes: 4_096,
    maxLeaves: 1_000,
    maxPathElements: 16,
    maxPaths: 4,
    maxWaitMs: 5_000,
    ...connectionLimits,
    ...overrides,
  };
  const { maxPathElements } = limits;
  const desired = new DesiredState({ ...changing, devices, profiles, topics: names, slots, maxPathElements });
  const wishes = new Wishes({ ...changing, tables, topic: 'ownership' });
  const own = { zone: '', state, lender: null, clock, metrics: ownMetrics };
  const nobody = (): Promise<never> => Promise.reject(new Error('there is no other instance'));
  const alone = { candidates: { all: () => [] }, races: { run: nobody }, streams: { open: nobody } };
  const divert = new Divert(divertOf?.(own) ?? { ...own, ...alone });
  const context: ApiContext = { instanceId, slots, limits, clock, tables, state, divert, desired, wishes };
  const facts = { tablesLoaded: true, kafkaOk: true, registryAnswers: null as boolean | null };
  const readiness = () =>
    readinessOf({
      ...facts,
      slots: Array.from({ length: slots }, (_, slot) => state.freshness(slot)),
      readyStalenessMs: 10_000,
    });
  const streams = new Streams({
    context,
    limits: {
      maxStreams: 100,
      maxQueuedLeaves: 1_000,
      streamHeartbeatMs: 15_000,
      maxBlockedMs: 60_000,
      ...overrides.streams,
    },
    metrics: createStreamMetrics(metrics),
    logger: silentLogger,
  });
  const routes = routesOf({
    context,
    streams,
    health: {
      kafkaOk: () => facts.kafkaOk,
      readyStalenessMs: 10_000,
      worstStalenessMs: () => 12,
      registryAnswers: () => facts.registryAnswers,
    },
    metrics,
    readiness,
    version: '0.0.0',
    schemaRecords: () =>
      overrides.schemas ?? [
        { subject: 's', id: 5, schemaType: 'PROTOBUF', schema: 'message', references: [], registeredAt: 1 },
      ],
  });
  const document = apiDocument(routes, '0.0.0');
  const server = new ApiServer({
    instanceId,
    listen: '127.0.0.1:0',
    advertisedHost: '127.0.0.1',
    routes,
    ...(overrides.fast !== false && { fast: new FastState({ context, metrics: ownMetrics }) }),
    limits,
    clock,
    logger: silentLogger,
    metrics: ownMetrics,
  });
  await server.start();
  const ask = async (path: string, init: RequestInit = {}): Promise<Reply> => {
    const response = await fetch(`http://${server.address}${path}`, init);
    const text = await response.text();
    const { status, headers } = response;
    const problems = answerProblems(document, { method: init.method ?? 'GET', url: path, status, headers, text });
    if (problems.length > 0) throw new Error(`${path} is not answered as described: ${problems.join('; ')}\n${text}`);
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status,
      headers,
      text,
      body: (isJson && text !== '' ? JSON.parse(text) : {}) as Reply['body'],
    };
  };
  const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
    ask(path, { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
  const addDevice = async (name: string, more: object = {}): Promise<void> => {
    const reply = await send('PUT', `/api/v1/devices/${name}`, {
      addresses: ['192.0.2.1:9339'],
      plaintext: true,
      subscriptions: [{ path: '/' }],
      ...more,
    });
    if (reply.status !== 201) throw new Error(reply.text);
  };
  let seq = 1n;
  const addLeaf = (
    device: string,
    path: string,
    value: TypedValue,
    timestampNs = clock.nowNs(),
    origin = 'openconfig',
  ): void => {
    seq += 1n;
    state.write(seq, [{ device, origin, path, value: encodeTypedValue(value), timestampNs }]);
  };
  const setStatus = (device: string, deviceState: DeviceState, instance?: string): void => {
    status.set(device, {
      status: statusOf(device, deviceState, instance),
      position: { slot: slotOf(device, slots), epoch, seq },
    });
  };
  return {
    server,
    routes,
    document,
    context,
    tables,
    state,
    clock,
    facts,
    metrics,
    ask,
    send,
    addDevice,
    addLeaf,
    setStatus,
  };
}

export type Api = Awaited<ReturnType<typeof startApi>>;
