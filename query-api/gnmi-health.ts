/**
 * How a device is, as leaves below `/meta` under the names that the reference collector gave them. Made here, from the
 * device's status record and our copy of its state: they are in no topic.
 *
 * H1. Nothing is invented: what this instance does not know has no leaf (see docs/interoperability.md for the list).
 */
import { type Clock } from '../core/clock.ts';
import { type PathElem } from '../schemas/path.ts';
import { slotOf } from '../schemas/slot.ts';
import { type DeviceStatus } from '../schemas/status.ts';
import { encodeTypedValue, type TypedValue } from '../schemas/value.ts';
import { isSynced, type TablesView } from './api-context.ts';
import { type HealthFacts } from './gnmi-health-facts.ts';
import { type StateView } from './replica.ts';

export const healthRoot = 'meta';

export interface HealthLeaf {
  readonly key: string;
  readonly elems: readonly PathElem[];
  /** The encoded TypedValue. */
  readonly value: Buffer;
}

const noKeys = new Map<string, string>();

/** Every name that may be below `/meta`. */
export const healthNames = [
  'sync',
  'connected',
  'connectedAddress',
  'connectError',
  'serverName',
  'targetLeaves',
  'latestTimestamp',
  'stalenessMs',
] as const;
export type HealthName = (typeof healthNames)[number];

const healthLeaves = healthNames.map((name) => ({
  name,
  key: `openconfig:/${healthRoot}/${name}`,
  elems: [healthRoot, name].map((part): PathElem => ({ name: part, keys: noKeys })),
}));

export const healthPaths: readonly (readonly PathElem[])[] = healthLeaves.map(({ elems }) => elems);

export interface HealthSource {
  readonly tables: TablesView;
  readonly state: StateView;
  readonly slots: number;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly facts: HealthFacts;
}

export type HealthValues = Readonly<Record<HealthName, string | boolean | bigint | null>>;

/** What there is to say of a device; null: nothing (H1). */
export function healthValues(source: HealthSource, device: string): HealthValues {
  const { tables, instanceId, facts } = source;
  const status = tables.status.get(device)?.status;
  const connected = status !== undefined && isConnected(tables, device, status);
  const { leaves, latestNs } = facts.of(device);
  return {
    sync: isSynced(tables, device),
    connected,
    connectedAddress: connected ? status.address : null,
    connectError: connected || status === undefined ? null : errorOf(status),
    serverName: instanceId,
    targetLeaves: BigInt(leaves),
    latestTimestamp: latestNs,
    stalenessMs: stalenessOf(source, device),
  };
}

export interface HealthDifference {
  readonly changed: readonly HealthLeaf[];
  readonly gone: readonly HealthLeaf[];
}

/** Encodes only what is not as it was: most of it stays for most devices. */
export function healthDifference(before: HealthValues | undefined, now: HealthValues): HealthDifference {
  const differs = (name: HealthName): boolean => before?.[name] !== now[name];
  const isGone = (name: HealthName): boolean => now[name] === null && (before?.[name] ?? null) !== null;
  return {
    changed: encodeHealth(now, differs),
    gone: before === undefined ? [] : encodeHealth(before, isGone),
  };
}

/** The leaves of these values, in the order of `healthNames`. */
export function encodeHealth(values: HealthValues, isWanted: (name: HealthName) => boolean = () => true): HealthLeaf[] {
  return healthLeaves.flatMap(({ name, key, elems }) => {
    const value = values[name];
    if (value === null || !isWanted(name)) return [];
    return [{ key, elems, value: encodeTypedValue(typedOf(name, value)) }];
  });
}

function typedOf(name: HealthName, value: string | boolean | bigint): TypedValue {
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'boolean') return { kind: 'bool', value };
  return { kind: name === 'stalenessMs' ? 'uint' : 'int', value };
}

/** A status record of an owner that is gone, or was replaced, says nothing of a session any more. */
function isConnected(tables: TablesView, device: string, status: DeviceStatus): boolean {
  if (status.state === 'synced') return isSynced(tables, device);
  return status.state === 'connected' && !tables.sightings.isGone(status.instance);
}

function errorOf({ code, detail }: DeviceStatus): string | null {
  return code === '' ? null : detail === '' ? code : `${code}: ${detail}`;
}

/** Rounded up to whole seconds, so that a reader of changes is not sent one every second. */
function stalenessOf({ state, slots }: HealthSource, device: string): bigint | null {
  const freshness = state.freshness(slotOf(device, slots));
  if (freshness.kind === 'absent' || freshness.kind === 'incomplete') return null;
  return BigInt(Math.ceil(freshness.stalenessMs / 1000)) * 1000n;
}
