import { type LockTimers } from './lock-timers.ts';

/**
 * The lease: how long a worker may hold its slots, computed by itself from when it *sent* what the coordinator accepted.
 *
 *   untilMs = min( sentAt(last accepted request) + S, sentAt(last proof of joining) + R, sentAt(last proof of coordinator) + S ) − G
 *
 * L-1. Times are monotonic and those of sending: the coordinator saw a request no earlier than it was sent, so it acts
 *      no earlier than we stop.
 * L-2. Only a commit proves the coordinator: it needs a replicated write, which a superseded coordinator cannot do. It
 *      answers heartbeats, and even joins, for as long as it lives.
 * L-3. A lease without proof of the coordinator is not live; that is how a lapsed one comes back only by Join, Sync and
 *      an accepted commit.
 * L-4. A stalled worker is mute until a heartbeat sent after the stall was answered NONE: its timers may be late by more
 *      than the guard allows for.
 *
 * All functions are pure; `never` stands for a moment that has not come.
 */
export interface Lease {
  readonly acceptedAtMs: number;
  readonly joinedAtMs: number;
  readonly coordinatorAtMs: number;
  /** When the stall was noticed; null when the worker may publish. */
  readonly mutedAtMs: number | null;
}

/**
 * What an answer proves. `join`: JoinGroup or SyncGroup succeeded. `heartbeat`: NONE to a heartbeat of the generation we
 * are synced in. `session`: REBALANCE_IN_PROGRESS, or NONE before we are synced. `commit`: OffsetCommit answered NONE.
 */
export type Proof = 'join' | 'heartbeat' | 'session' | 'commit';

const never = Number.NEGATIVE_INFINITY;

export function newLease(): Lease {
  return { acceptedAtMs: never, joinedAtMs: never, coordinatorAtMs: never, mutedAtMs: null };
}

/** The lease after an answer to a request sent at `sentAtMs`; an older answer than the one already counted changes nothing. */
export function extendLease(lease: Lease, proof: Proof, sentAtMs: number): Lease {
  const joins = proof === 'join' || proof === 'heartbeat';
  const unmutes = proof === 'heartbeat' && lease.mutedAtMs !== null && sentAtMs >= lease.mutedAtMs; // L-4
  return {
    acceptedAtMs: Math.max(lease.acceptedAtMs, sentAtMs),
    joinedAtMs: joins ? Math.max(lease.joinedAtMs, sentAtMs) : lease.joinedAtMs,
    coordinatorAtMs: proof === 'commit' ? Math.max(lease.coordinatorAtMs, sentAtMs) : lease.coordinatorAtMs, // L-2
    mutedAtMs: unmutes ? null : lease.mutedAtMs,
  };
}

export function muteLease(lease: Lease, nowMs: number): Lease {
  return { ...lease, mutedAtMs: nowMs };
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
  return lease.mutedAtMs === null ? leaseUntilMs(lease, timers) : never;
}

/** What the lease's own watch saw between two of its ticks. */
export interface TickObservation {
  /** How much later than asked the timer fired, monotonic. */
  readonly lateMs: number;
  /** Wall time minus monotonic time that passed since the last tick. */
  readonly driftMs: number;
  /** Wall time since the lease's oldest deciding request was sent, negative when unknown. */
  readonly wallSinceSentMs: number;
}

/**
 * `stalled`: be mute until a heartbeat says otherwise. `over`: the wall clock says that the coordinator may already have
 * acted; a machine that was paused may have stopped the monotonic clock, and the next NONE may be blind.
 */
export function judgeTick(tick: TickObservation, timers: LockTimers): 'fine' | 'stalled' | 'over' {
  const driftMax = timers.guardMs / 2;
  const drifted = Math.abs(tick.driftMs) > driftMax;
  if (drifted && tick.wallSinceSentMs >= timers.sessionTimeoutMs - timers.guardMs) return 'over';
  return drifted || tick.lateMs > driftMax ? 'stalled' : 'fine';
}
