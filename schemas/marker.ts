/**
 * Marker records: what happened to a session or a slot, in the same log as the data. On `telemetry` beside the messages;
 * on `state`, under `|slot`, how far the leaves are complete.
 */
import {
  type MessageType,
  flag,
  int64,
  list,
  messageType,
  ms,
  named,
  optional,
  text,
  uint32,
  uint64,
} from './message-codec.ts';
import { type RecordKind, recordKinds } from './position.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';
import { type Subscription, subscriptionType } from './subscription.ts';

export const closedReasons = ['removed', 'changed', 'moved', 'drain', 'ended', 'error', 'overload'] as const;
export type ClosedReason = (typeof closedReasons)[number];
export const gapReasons = ['refused', 'overload', 'too-large', 'malformed'] as const;
export type GapReason = (typeof gapReasons)[number];

export interface MarkerSubscription {
  /** Which Subscribe RPC of the session carries it. */
  readonly rpc: number;
  readonly updatesOnly: boolean;
  readonly subscription?: Subscription;
}

export interface Marker {
  /** As in the record header. */
  readonly kind: RecordKind;
  /** Empty for a slot's own markers. */
  readonly device: string;
  /** From `closedReasons`, `gapReasons` or `ownershipReasons`, by kind. */
  readonly reason: string;
  readonly detail: string;
  readonly subscriptions: readonly MarkerSubscription[];
  readonly encoding: string;
  readonly address: string;
  readonly instance: string;
  readonly incarnation: string;
  /** Messages lost; 0: unknown. */
  readonly lost: bigint;
  readonly lostFromNs: bigint;
  readonly lostToNs: bigint;
  /** How far `state` was behind `telemetry` when this was written. */
  readonly lagMs: number;
}

const markerSubscriptionType: MessageType<MarkerSubscription> = messageType<MarkerSubscription>({
  rpc: uint32(1),
  updatesOnly: flag(2),
  subscription: optional(3, subscriptionType),
});

const markerType: MessageType<Marker> = messageType<Marker>({
  kind: named(1, recordKinds),
  device: text(2),
  reason: text(3),
  detail: text(4),
  subscriptions: list(5, markerSubscriptionType),
  encoding: text(6),
  address: text(7),
  instance: text(8),
  incarnation: text(9),
  lost: uint64(10),
  lostFromNs: int64(11),
  lostToNs: int64(12),
  lagMs: ms(13),
});

export const markerCodec: RecordCodec<Marker> = recordCodec('holdfast.v1.Marker', markerType);

/** A marker with everything unsaid but its kind; callers spread it and say the rest. */
export function emptyMarker(kind: RecordKind): Marker {
  return { ...markerCodec.decode(Buffer.alloc(0)), kind };
}
