/**
 * The only place where a topic name, a group, a transactional id, a subject or a record key is spelled.
 *
 * T1. A topic with `partitions: 'slots'` has one partition per slot, and a record's partition is its slot.
 * T2. `messages` lists every record type of a topic; readers tell them apart by schema id.
 */
import { escapeOrigin, parseOrigin } from './path.ts';
import { RecordMalformed } from './position.ts';
import { type Slot } from './slot.ts';

export type TopicName =
  'devices' | 'profiles' | 'telemetry' | 'state' | 'status' | 'ownership' | 'schemas' | 'instances';

/** Full names of the record types; each is the first message of its .proto file. */
export const messageNames = [
  'gnmi.SubscribeResponse',
  'holdfast.v1.Device',
  'holdfast.v1.Profile',
  'holdfast.v1.Marker',
  'holdfast.v1.Leaf',
  'holdfast.v1.DeviceStatus',
  'holdfast.v1.SlotOwnership',
  'holdfast.v1.Plan',
  'holdfast.v1.Placement',
  'holdfast.v1.Instance',
] as const;
export type MessageName = (typeof messageNames)[number];

export interface TopicSpec {
  readonly name: TopicName;
  readonly cleanup: 'compact' | 'delete';
  readonly partitions: 'slots' | 'one';
  /** Empty for `schemas`, whose values are plain JSON. */
  readonly messages: readonly MessageName[];
}

export const topicCatalogue: readonly TopicSpec[] = [
  { name: 'devices', cleanup: 'compact', partitions: 'slots', messages: ['holdfast.v1.Device'] },
  { name: 'profiles', cleanup: 'compact', partitions: 'one', messages: ['holdfast.v1.Profile'] },
  {
    name: 'telemetry',
    cleanup: 'delete',
    partitions: 'slots',
    messages: ['gnmi.SubscribeResponse', 'holdfast.v1.Marker'],
  },
  { name: 'state', cleanup: 'compact', partitions: 'slots', messages: ['holdfast.v1.Leaf', 'holdfast.v1.Marker'] },
  { name: 'status', cleanup: 'compact', partitions: 'slots', messages: ['holdfast.v1.DeviceStatus'] },
  {
    name: 'ownership',
    cleanup: 'compact',
    partitions: 'one',
    messages: ['holdfast.v1.SlotOwnership', 'holdfast.v1.Plan', 'holdfast.v1.Placement'],
  },
  { name: 'schemas', cleanup: 'compact', partitions: 'one', messages: [] },
  { name: 'instances', cleanup: 'compact', partitions: 'one', messages: ['holdfast.v1.Instance'] },
];

/** The two parts that hold slots. */
export type GroupRole = 'ingest' | 'replicator';

export function topicOf(prefix: string, name: TopicName): string {
  return prefix + name;
}

export function groupOf(prefix: string, role: GroupRole): string {
  return prefix + role;
}

/** One per slot and role: whoever initialises it last is the only one the broker accepts. */
export function transactionalIdOf(prefix: string, role: GroupRole, slot: Slot): string {
  return `${prefix}${role === 'ingest' ? 'slot' : 'state'}-${slot}`;
}

/** TopicRecordNameStrategy. */
export function subjectOf(topic: string, message: MessageName): string {
  return `${topic}-${message}`;
}

/** `ownership`: the record of an ingest slot; `telemetry`: the key of its `owner` markers. */
export function slotKey(slot: Slot): string {
  return `slot/${slot}`;
}

/** `ownership`: the record of a replicator slot. */
export function stateSlotKey(slot: Slot): string {
  return `state/${slot}`;
}

export const planKey = 'plan';
export const statePlanKey = 'state-plan';

/** `ownership`: the wish that an instance gives up its slots. */
export function drainKey(instance: string): string {
  return `drain/${instance}`;
}

/** `ownership`: the wish that a slot moves to a named instance. */
export function placeKey(slot: Slot): string {
  return `place/${slot}`;
}

/** `state`: the record that says how far the slot's leaves are complete. No device name starts with `|`. */
export const slotMarkerKey = '|slot';

export type OwnershipKey =
  | { readonly kind: 'slot' | 'state' | 'place'; readonly slot: Slot }
  | { readonly kind: 'plan' | 'state-plan' }
  | { readonly kind: 'drain'; readonly instance: string };

/** What a key of `ownership` names; undefined for keys of other versions, which readers skip. */
export function parseOwnershipKey(key: string): OwnershipKey | undefined {
  if (key === planKey || key === statePlanKey) return { kind: key };
  const slotted = /^(slot|state|place)\/(0|[1-9]\d{0,4})$/.exec(key);
  if (slotted) return { kind: slotted[1] as 'slot' | 'state' | 'place', slot: Number(slotted[2]) };
  return key.startsWith('drain/') && key.length > 6 ? { kind: 'drain', instance: key.slice(6) } : undefined;
}

export interface LeafName {
  readonly device: string;
  readonly origin: string;
  /** `/a/b[k=v]` */
  readonly path: string;
}

/** `state`: `device|origin:/path`. */
export function leafKey(device: string, origin: string, path: string): string {
  return `${device}|${escapeOrigin(origin)}:${path}`;
}

/** The inverse of `leafKey`; throws RecordMalformed (also for `|slot`, which is no leaf). */
export function parseLeafKey(key: string): LeafName {
  const bar = key.indexOf('|');
  const rest = key.slice(bar + 1);
  const origin = bar > 0 ? parseOrigin(rest) : undefined;
  if (origin === undefined) throw new RecordMalformed(`key ${JSON.stringify(key)} is not device|origin:/path`);
  return { device: key.slice(0, bar), origin: origin.origin, path: rest.slice(origin.end) };
}
