/**
 * Ownership records: who holds a slot (`SlotOwnership`), who should (`Plan`), and what operators wish (`Placement`).
 *
 * O1. In a Plan members are numbered from 1; 0 is nobody. The n-th entry of `slots` is slot n.
 */
import {
  type MessageType,
  flag,
  int32,
  int64,
  list,
  messageType,
  named,
  optional,
  text,
  uint32,
  uint64,
} from './message-codec.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';

/** The index of a reason is its number in a Plan; 0 is none. */
export const ownershipReasons = ['', 'start', 'crash', 'drain', 'move', 'balance'] as const;
export type OwnershipReason = Exclude<(typeof ownershipReasons)[number], ''>;

/** Of epochs and plan versions: from 2^63 on they are nobody's, for one would leave no numbers to go above it. */
export const ownershipNumberMax = (1n << 63n) - 1n;

/** A worker as the coordinator sees it. */
export interface Member {
  readonly instance: string;
  readonly incarnation: string;
  readonly memberId: string;
  readonly peer: string;
  readonly zone: string;
}

export const slotOwnershipStates = ['unknown', 'held', 'released'] as const;

export interface SlotOwnership {
  readonly slot: number;
  readonly holder?: Member;
  readonly state: (typeof slotOwnershipStates)[number];
  readonly epoch: bigint;
  readonly lastSeq: bigint;
  readonly sinceNs: bigint;
  readonly reason: string;
  /** Position at hand-over. */
  readonly fromEpoch: bigint;
  readonly fromSeq: bigint;
}

export interface PlanSlot {
  /** Number of a member (O1). */
  readonly owner: number;
  readonly standby: number;
  readonly prev: number;
  readonly prevEpoch: bigint;
  /** Index in `ownershipReasons`. */
  readonly reason: number;
}

export interface Plan {
  readonly version: bigint;
  /** Of the consumer group that made it. */
  readonly generation: number;
  readonly members: readonly Member[];
  readonly slots: readonly PlanSlot[];
  /** Number of the member that made it (O1). */
  readonly leader: number;
}

export interface Placement {
  readonly instance: string;
  readonly drain: boolean;
  readonly changedBy: string;
  readonly changedAtNs: bigint;
  /** Of a drain: the run of the instance that is meant, so that its successor is not; empty: every run. */
  readonly incarnation: string;
}

const memberType: MessageType<Member> = messageType<Member>({
  instance: text(1),
  incarnation: text(2),
  memberId: text(3),
  peer: text(4),
  zone: text(5),
});

const slotOwnershipType: MessageType<SlotOwnership> = messageType<SlotOwnership>({
  slot: uint32(1),
  holder: optional(2, memberType),
  state: named(3, slotOwnershipStates),
  epoch: uint64(4),
  lastSeq: uint64(5),
  sinceNs: int64(6),
  reason: text(7),
  fromEpoch: uint64(8),
  fromSeq: uint64(9),
});

const planSlotType: MessageType<PlanSlot> = messageType<PlanSlot>({
  owner: uint32(1),
  standby: uint32(2),
  prev: uint32(3),
  prevEpoch: uint64(4),
  reason: uint32(5),
});

const planType: MessageType<Plan> = messageType<Plan>({
  version: uint64(1),
  generation: int32(2),
  members: list(3, memberType),
  slots: list(4, planSlotType),
  leader: uint32(5),
});

const placementType: MessageType<Placement> = messageType<Placement>({
  instance: text(1),
  drain: flag(2),
  changedBy: text(3),
  changedAtNs: int64(4),
  incarnation: text(5),
});

export const slotOwnershipCodec: RecordCodec<SlotOwnership> = recordCodec(
  'holdfast.v1.SlotOwnership',
  slotOwnershipType,
);
export const planCodec: RecordCodec<Plan> = recordCodec('holdfast.v1.Plan', planType);
export const placementCodec: RecordCodec<Placement> = recordCodec('holdfast.v1.Placement', placementType);
