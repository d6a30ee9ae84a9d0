import { type LockTimers } from './lock-timers.ts';

/**
 * The lease: how long a worker may hold its slots, computed by itself from when it *sent* what the coordinator accepted.
 *
 *   untilMs = min( sentAt(last accepted request) + S, sentAt(last proof of joining) + R, sentAt(last proof of coordinator) + S ) − G
 *
 * L-1. Times are monotonic and those of sending: the coordinator saw a request no earlier than it was sent, so it acts
 *      no earlier than we stop.
 * L-2. Only a commit proves the coordinator: it needs a replicated write, which a superseded coordinator cannot do. It
 *      answers heartbeats, and even joins, for as long as it lives; so that no Join is waited for is believed only of the
 *      broker that took the commit.
 * L-3. A lease without proof of the coordinator is not live; that is how a lapsed one comes back only by Join, Sync and
 *      an accepted commit.
 * L-4. A stalled worker is mute until a heartbeat sent after the stall was answered NONE: its timers may be late by more
 *      than the guard allows for.
 * L-5. A machine that was paused may have stopped the monotonic clock: what was sent before is older than that clock says,
 *      by as much as the wall clock ran ahead of it. Without this a superseded coordinator, which answers heartbeats,
 *      would bring back a lease that outlives the one that counts. Answers to requests from before the stall was noticed
 *      prove nothing: nobody knows on which side of the pause they were sent.
 *
 * All functions are pure; `never` stands for a moment that has not come.
 */
export interface Lease {
  readonly acceptedAtMs: number;
  readonly joinedAtMs: number;
  readonly coordinatorAtMs: number;
  /** When a stall was last noticed. */
  readonly stalledAtMs: number;
  /** No heartbeat sent since then was answered: nothing may be published. */
  readonly muted: boolean;
}

/**
 * What an answer proves. `join`: JoinGroup or SyncGroup succeeded, or a probe found that no Join is waited for.
 * `heartbeat`: NONE to a heartbeat of the generation we
 * are synced in. `session`: REBALANCE_IN_PROGRESS, or NONE before we are synced. `commit`: OffsetCommit answered NONE.
 */
export type Proof = 'join' | 'heartbeat' | 'session' | 'commit';

const never = Number.NEGATIVE_INFINITY;

export function newLease(): Lease {
  return { acceptedAtMs: never, joinedAtMs: never, coordinatorAtMs: never, stalledAtMs: never, muted: false };
}

/** The lease after an answer to a request sent at `sentAtMs`; an older answer than the one already counted changes nothing. */
export function extendLease(lease: Lease, proof: Proof, sentAtMs: number): Lease {
  if (sentAtMs < lease.stalledAtMs) return lease; // L-5
  return {
    ...lease,
    acceptedAtMs: Math.max(lease.acceptedAtMs, sentAtMs),
    joinedAtMs: proof === 'join' ? Math.max(lease.joinedAtMs, sentAtMs) : lease.joinedAtMs, // L-2
    coordinatorAtMs: proof === 'commit' ? Math.max(lease.coordinatorAtMs, sentAtMs) : lease.coordinatorAtMs, // L-2
    muted: lease.muted && proof !== 'heartbeat', // L-4
  };
}

/** `lostMs`: how much time the monotonic clock has missed, as far as the wall clock can tell; not below 0 (L-5). */
export function muteLease(lease: Lease, nowMs: number, lostMs: number): Lease {
  return {
    acceptedAtMs: lease.acceptedAtMs - lostMs,
    joinedAtMs: lease.joinedAtMs - lostMs,
    coordinatorAtMs: lease.coordinatorAtMs - lostMs,
    stalledAtMs: nowMs,
    muted: true,
  };
}

/** Monotonic ms at which everything must be closed; −∞ for a lease that never was live (L-3). */
export function leaseUntilMs(lease: Lease, timers: LockTimers): number {
  return (
    Math.min(
      lease.acceptedAtMs + timers.sessionTimeoutMs,
      lease.joinedAtMs + timers.rebalanceTimeoutMs,
      lease.coordinatorAtMs + timers.sessionTimeoutMs,
    ) - timers.guardMs
  );
}

/** What the data path compares its clock with: `now < publishUntilMs` (−∞ while mute). */
export function publishUntilMs(lease: Lease, timers: LockTimers): number {
  return lease.muted ? never : leaseUntilMs(lease, timers);
}

/** What the lease's own watch saw between two of its ticks. */
export interface TickObservation {
  /** How much later than asked the timer fired, monotonic. */
  readonly lateMs: number;
  /** Wall time minus monotonic time that passed since the last tick. */
  readonly driftMs: number;
}

/** A difference of the two clocks that is no pause yet: half the guard. */
export function driftMsMax({ guardMs }: LockTimers): number {
  return guardMs / 2;
}

/**
 * `stalled`: be mute until a heartbeat says otherwise. The wall clock may just have been set; then the lease is shorter
 * than it could be until the next proofs, a heartbeat period later.
 */
export function judgeTick(
  { lateMs, driftMs }: TickObservation,
  timers: LockTimers,
): { readonly kind: 'fine' } | { readonly kind: 'stalled'; readonly lostMs: number } {
  const driftMax = driftMsMax(timers);
  if (Math.abs(driftMs) <= driftMax && lateMs <= driftMax) return { kind: 'fine' };
  return { kind: 'stalled', lostMs: Math.max(0, driftMs) };
}
