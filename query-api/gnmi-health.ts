/**
 * How a device is, as leaves below `/meta` under the names that the reference collector gave them. Made here, from the
 * device's status record and our copy of its state: they are in no topic.
 *
 * H1. Nothing is invented: what this instance does not know has no leaf (see docs/interoperability.md for the list).
 */
import { type Clock } from '../core/clock.ts';
import { compilePattern } from '../schemas/path-pattern.ts';
import { type PathElem, rootPath } from '../schemas/path.ts';
import { slotOf } from '../schemas/slot.ts';
import { type DeviceStatus } from '../schemas/status.ts';
import { encodeTypedValue, type TypedValue } from '../schemas/value.ts';
import { isSynced, type TablesView } from './api-context.ts';
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
}

const everything = compilePattern(rootPath);

/** The health leaves of a device, in the order of `healthNames`. */
export function healthOf(source: HealthSource, device: string): HealthLeaf[] {
  const { tables, state, instanceId } = source;
  const status = tables.status.get(device)?.status;
  const connected = status !== undefined && isConnected(tables, device, status);
  const leaves = state.store.find(device, everything, '/');
  const values: Record<HealthName, TypedValue | null> = {
    sync: { kind: 'bool', value: isSynced(tables, device) },
    connected: { kind: 'bool', value: connected },
    connectedAddress: connected ? { kind: 'string', value: status.address } : null,
    connectError: connected || status === undefined ? null : errorOf(status),
    serverName: { kind: 'string', value: instanceId },
    targetLeaves: { kind: 'int', value: BigInt(leaves.length) },
    latestTimestamp: latestOf(leaves),
    stalenessMs: stalenessOf(source, device),
  };
  return healthLeaves.flatMap(({ name, key, elems }) => {
    const value = values[name];
    return value === null ? [] : [{ key, elems, value: encodeTypedValue(value) }];
  });
}

/** A status record of an owner that is gone, or was replaced, says nothing of a session any more. */
function isConnected(tables: TablesView, device: string, status: DeviceStatus): boolean {
  if (status.state === 'synced') return isSynced(tables, device);
  return status.state === 'connected' && !tables.sightings.isGone(status.instance);
}

function errorOf({ code, detail }: DeviceStatus): TypedValue | null {
  return code === '' ? null : { kind: 'string', value: detail === '' ? code : `${code}: ${detail}` };
}

function latestOf(leaves: readonly { readonly timestampNs: bigint }[]): TypedValue | null {
  let latest: bigint | null = null;
  for (const { timestampNs } of leaves) if (latest === null || timestampNs > latest) latest = timestampNs;
  return latest === null ? null : { kind: 'int', value: latest };
}

/** Rounded up to whole seconds, so that a reader of changes is not sent one every second. */
function stalenessOf({ state, slots }: HealthSource, device: string): TypedValue | null {
  const freshness = state.freshness(slotOf(device, slots));
  if (freshness.kind === 'absent' || freshness.kind === 'incomplete') return null;
  return { kind: 'uint', value: BigInt(Math.ceil(freshness.stalenessMs / 1000)) * 1000n };
}
