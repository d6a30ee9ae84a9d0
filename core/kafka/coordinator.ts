import { type Slot } from '../../schemas/slot.ts';

/**
 * The group coordinator as the lock sees it: a port, because two things stand behind it, Kafka (`kafka-coordinator.ts`)
 * and the simulated one of the tests. Every call is one request that is answered or not; nobody behind the port repeats
 * one, and the caller reads its clock *before* it calls.
 *
 * Calls of one lane are served one after the other, those of different lanes are independent: a pending Join must not
 * hold up a heartbeat or a claim.
 */
export type Lane = 'join' | 'group' | 'heartbeat' | 'probe';

/**
 * - `unknown-member`: we are not a member (any more).
 * - `illegal-generation`: the group is at another generation than the request.
 * - `rebalance`: answered, and a rebalance is going on.
 * - `lost`: not the coordinator, not available, loading, no answer or no connection: find it and ask again. Whether the
 *   request had an effect is unknown.
 * - `refused`: nothing of the request was done, and asking again as it is will not help.
 * - `fatal`: only an operator can help; `error` says how.
 */
export type Refusal = 'unknown-member' | 'illegal-generation' | 'rebalance' | 'lost' | 'refused' | 'fatal';
export type Answer<T> =
  { readonly kind: 'ok'; readonly value: T } | { [K in Refusal]: { readonly kind: K; readonly error: Error } }[Refusal];

/** Whom a request speaks for; a reply counts only if this is still so. */
export interface MemberRef {
  readonly memberId: string;
  readonly generation: number;
}

/** What a member says of itself, in one form that it speaks. */
export interface JoinProtocol {
  readonly name: string;
  readonly report: Buffer;
}

export interface JoinOrder {
  /** '' for a new member. */
  readonly memberId: string;
  /** Preferred form first; the coordinator picks one that every member knows, and refuses who shares none. */
  readonly protocols: readonly JoinProtocol[];
  /** Told of the id as soon as the coordinator gives one: a lost join is repeated with it. */
  readonly onMemberId: (memberId: string) => void;
}

export interface Joined extends MemberRef {
  readonly leader: boolean;
  /** Of the leader's answer only; reports in the form that was picked. */
  readonly members: readonly { readonly memberId: string; readonly report: Buffer }[];
}

export interface SyncOrder extends MemberRef {
  /** The leader's plan with everybody's slots; null from all others. */
  readonly plan: { readonly bytes: Buffer; readonly owned: ReadonlyMap<string, readonly Slot[]> } | null;
}

/**
 * What an answered probe proves. `member`: this very coordinator took a commit, knows us in this generation, waits for no
 * Join of ours, and renewed our session. `rebalance`: the same, but it waits for us to join again. `nothing`: a plan is
 * awaited, so it takes no commit of ours, nor, for a reason of its own, of a group beside it.
 */
export type ProbeProof = 'member' | 'rebalance' | 'nothing';

/** The coordinator's register of a slot. */
export interface SlotCommit {
  readonly slot: Slot;
  readonly offset: bigint;
  readonly metadata: string;
}

export interface Coordinator {
  join(order: JoinOrder): Promise<Answer<Joined>>;
  /** Answers with the plan's bytes. */
  sync(order: SyncOrder): Promise<Answer<Buffer>>;
  heartbeat(member: MemberRef): Promise<Answer<null>>;
  /** A commit that names no slot: proof that this coordinator can still write. */
  probe(member: MemberRef): Promise<Answer<ProbeProof>>;
  /** For all slots, or for none. */
  commit(member: MemberRef, commits: readonly SlotCommit[]): Promise<Answer<null>>;
  /** Slots without a value are not in the answer. */
  fetch(slots: readonly Slot[]): Promise<Answer<ReadonlyMap<Slot, SlotCommit>>>;
  leave(memberId: string): Promise<Answer<null>>;
  /** Destroys the lane's connection (requests under way answer `lost`) and forgets where the coordinator is. */
  reset(lane: Lane): void;
  destroy(): void;
}
