import { type Lane } from './coordinator.ts';
import { extendLease, muteLease, newLease, type Lease, type Proof } from './lease.ts';

/**
 * The worker's state machine: one membership in the group, from the first JoinGroup to the last LeaveGroup. Pure; the
 * driver (`lock-worker.ts`) turns answers and timers into events and performs the effects.
 *
 *   unjoined → join-pending → sync-pending → member → (join-pending …) → leaving → ended
 *                    lease or membership lost: fenced → member
 *
 * W1. Nothing acts on a generation before its SyncGroup succeeded (O9).
 * W2. From `join` until `adopt` no slot begins to be acquired: every `join` freezes (O7). A plan counts only if no
 *     JoinGroup was sent after its SyncGroup, so `synced` while a Join is out changes nothing.
 * W3. Whoever lost the lease or the membership drops every slot, and comes back as a new member with nothing held (O8).
 *     It joins only once the last session is closed: what it reports must be true (O12).
 * W4. At most one Join is out. What asks for another meanwhile is remembered (`again`) and raised after the Sync.
 * W5. Leaving acquires nothing, says draining in every Join, and leaves the group when nothing is held any more.
 */
export interface WorkerStates {
  readonly unjoined: object;
  /** JoinGroup sent. May hold slots; frozen. */
  readonly 'join-pending': { readonly lease: Lease; readonly again: boolean };
  /** JoinGroup answered, SyncGroup sent. May hold slots; frozen. */
  readonly 'sync-pending': { readonly lease: Lease; readonly again: boolean };
  readonly member: { readonly lease: Lease };
  /** Holds nothing, is getting back in. `closing`: some session is not gone yet. */
  readonly fenced: { readonly phase: 'closing' | 'join-pending' | 'sync-pending' };
  readonly leaving: {
    readonly lease: Lease;
    readonly phase: 'member' | 'join-pending' | 'sync-pending';
    readonly again: boolean;
  };
  /** On the way out: nothing is held, nothing is joined any more. */
  readonly ended: object;
}
export type WorkerKind = keyof WorkerStates;
export type WorkerState = { [K in WorkerKind]: { readonly kind: K } & WorkerStates[K] }[WorkerKind];

export interface WorkerEvents {
  readonly start: object;
  /** An answer that counts, to a request sent at `sentAtMs` (monotonic). */
  readonly accepted: { readonly proof: Proof; readonly sentAtMs: number };
  /** JoinGroup succeeded. */
  readonly joined: { readonly sentAtMs: number };
  /** SyncGroup succeeded; the driver keeps the plan. */
  readonly synced: { readonly sentAtMs: number };
  readonly rebalance: object;
  readonly 'illegal-generation': object;
  readonly 'unknown-member': object;
  readonly 'coordinator-lost': { readonly lane: Lane };
  readonly 'lease-end': object;
  /** `lostMs`: how much time the monotonic clock has missed. */
  readonly stalled: { readonly nowMs: number; readonly lostMs: number };
  readonly drain: object;
  /** Leaving, and no slot is held or being released any more. */
  readonly 'empty-handed': object;
  readonly 'drain-deadline': object;
  /** Somebody here needs a new plan: leftovers, displaced, release unwritable, warm. */
  readonly 'want-rebalance': object;
  /** The last session of the last lost slot is gone. */
  readonly 'all-closed': object;
  /** Evidence that another member's process is gone. */
  readonly 'peer-gone': { readonly memberId: string };
  /** A peer asks for a heartbeat now. */
  readonly nudge: object;
  readonly fatal: { readonly error: Error };
}
export type WorkerEventKind = keyof WorkerEvents;
export type WorkerEvent = { [K in WorkerEventKind]: { readonly kind: K } & WorkerEvents[K] }[WorkerEventKind];

export type WorkerEffect =
  /** Freeze every slot; send JoinGroup with the held report of that moment; `asNew` with no member id. */
  | { readonly kind: 'join'; readonly asNew: boolean }
  | { readonly kind: 'sync' }
  /** Act on the plan that came with the Sync; `acquire` false: slots named for us stay unclaimed. */
  | { readonly kind: 'adopt'; readonly acquire: boolean }
  | { readonly kind: 'drop-all' }
  | { readonly kind: 'abandon-join' }
  /** LeaveGroup for the member id in use, repeated until answered, after the last session is closed. */
  | { readonly kind: 'leave' }
  /** LeaveGroup for a member whose process is gone; once accepted, `rebalance`. */
  | { readonly kind: 'leave-for'; readonly memberId: string }
  | { readonly kind: 'heartbeat-now' }
  /** Destroy the lane's connection, find the coordinator, repeat the request. */
  | { readonly kind: 'find'; readonly lane: Lane }
  /** `error` null: as asked. */
  | { readonly kind: 'exit'; readonly error: Error | null };

export interface WorkerStep {
  readonly state: WorkerState;
  readonly effects: readonly WorkerEffect[];
}
type StateOf<K extends WorkerKind> = Extract<WorkerState, { kind: K }>;
type EventOf<K extends WorkerEventKind> = Extract<WorkerEvent, { kind: K }>;
type Cell<S extends WorkerKind, E extends WorkerEventKind> = (state: StateOf<S>, event: EventOf<E>) => WorkerStep;

const join: WorkerEffect = { kind: 'join', asNew: false };
const joinAsNew: WorkerEffect = { kind: 'join', asNew: true };
const leave: WorkerEffect = { kind: 'leave' };
const dropAll: WorkerEffect = { kind: 'drop-all' };
/** Else heartbeats of the former member would be refused again, and each refusal would begin the Join anew. */
const forget: WorkerEffect = { kind: 'abandon-join' };
const exit: WorkerEffect = { kind: 'exit', error: null };
const ended: WorkerState = { kind: 'ended' };
/** Sessions may still be open: the Join waits for `all-closed` (W3). */
const closing: WorkerState = { kind: 'fenced', phase: 'closing' };

const to = (state: WorkerState, ...effects: WorkerEffect[]): WorkerStep => ({ state, effects });
const stay = (state: WorkerState): WorkerStep => ({ state, effects: [] });
const never = (state: WorkerState, event: WorkerEvent): WorkerStep => {
  throw new Error(`event ${event.kind} cannot happen to a worker that is ${state.kind}`);
};
const find = (state: WorkerState, event: EventOf<'coordinator-lost'>): WorkerStep =>
  to(state, { kind: 'find', lane: event.lane });
const remember = (state: StateOf<'join-pending' | 'sync-pending'>): WorkerStep => stay({ ...state, again: true }); // W4
const leaveFor = (state: WorkerState, event: EventOf<'peer-gone'>): WorkerStep =>
  to(state, { kind: 'leave-for', memberId: event.memberId });
const heartbeatNow = (state: WorkerState): WorkerStep => to(state, { kind: 'heartbeat-now' });
const fenceAsNew = (): WorkerStep => to(closing, dropAll, forget);
const endLease = (): WorkerStep => to(closing, dropAll, forget, leave);
const dropAndExit = (): WorkerStep => to(ended, dropAll, exit);
const fail = (_state: WorkerState, event: EventOf<'fatal'>): WorkerStep =>
  to(ended, dropAll, { kind: 'exit', error: event.error });
const rejoin = (state: StateOf<'sync-pending' | 'member'>): WorkerStep =>
  to({ kind: 'join-pending', lease: state.lease, again: false }, join);

type Leased = StateOf<'join-pending' | 'sync-pending' | 'member' | 'leaving'>;
const extend = (state: Leased, event: EventOf<'accepted'>): WorkerStep =>
  stay({ ...state, lease: extendLease(state.lease, event.proof, event.sentAtMs) });
const mute = (state: Leased, event: EventOf<'stalled'>): WorkerStep =>
  stay({ ...state, lease: muteLease(state.lease, event.nowMs, event.lostMs) });

const rejoinLeaving = (state: StateOf<'leaving'>): WorkerStep =>
  state.phase === 'join-pending' ? stay(state) : to({ ...state, phase: 'join-pending', again: false }, join); // W4
const rejoinFenced = (state: StateOf<'fenced'>): WorkerStep =>
  state.phase === 'sync-pending' ? to({ ...state, phase: 'join-pending' }, join) : stay(state);

function syncedMember(state: StateOf<'sync-pending'>, event: EventOf<'synced'>): WorkerStep {
  const lease = extendLease(state.lease, 'join', event.sentAtMs);
  const adopt: WorkerEffect = { kind: 'adopt', acquire: true };
  return state.again
    ? to({ kind: 'join-pending', lease, again: false }, adopt, join)
    : to({ kind: 'member', lease }, adopt);
}

function syncedFenced(state: StateOf<'fenced'>, event: EventOf<'synced'>): WorkerStep {
  if (state.phase !== 'sync-pending') return stay(state); // W2
  const lease = extendLease(newLease(), 'join', event.sentAtMs); // live with the first accepted commit, not before
  return to({ kind: 'member', lease }, { kind: 'adopt', acquire: true });
}

function syncedLeaving(state: StateOf<'leaving'>, event: EventOf<'synced'>): WorkerStep {
  if (state.phase !== 'sync-pending') return stay(state); // W2
  const lease = extendLease(state.lease, 'join', event.sentAtMs);
  const adopt: WorkerEffect = { kind: 'adopt', acquire: false }; // W5
  return state.again
    ? to({ ...state, lease, phase: 'join-pending', again: false }, adopt, join)
    : to({ ...state, lease, phase: 'member' }, adopt);
}

/** Every cell of states × events; a new state or event does not compile until each of its cells is decided. */
const table: { readonly [S in WorkerKind]: { readonly [E in WorkerEventKind]: Cell<S, E> } } = {
  unjoined: {
    start: () => to({ kind: 'join-pending', lease: newLease(), again: false }, joinAsNew),
    accepted: stay,
    joined: stay,
    synced: stay,
    rebalance: stay,
    'illegal-generation': stay,
    'unknown-member': stay,
    'coordinator-lost': stay,
    'lease-end': never,
    stalled: stay,
    drain: () => to(ended, exit),
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': stay,
    'all-closed': stay,
    'peer-gone': stay,
    nudge: stay,
    fatal: (_state, event) => to(ended, { kind: 'exit', error: event.error }),
  },
  'join-pending': {
    start: stay,
    accepted: extend,
    joined: (state, event) =>
      to({ ...state, kind: 'sync-pending', lease: extendLease(state.lease, 'join', event.sentAtMs) }, { kind: 'sync' }),
    synced: stay, // W2: of the Join before this one
    rebalance: stay,
    'illegal-generation': stay, // of a superseded generation
    'unknown-member': fenceAsNew,
    'coordinator-lost': find,
    'lease-end': endLease,
    stalled: mute,
    drain: (state) => to({ kind: 'leaving', lease: state.lease, phase: 'join-pending', again: true }),
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': remember,
    'all-closed': stay,
    'peer-gone': leaveFor,
    nudge: heartbeatNow,
    fatal: fail,
  },
  'sync-pending': {
    start: stay,
    accepted: extend,
    joined: stay,
    synced: syncedMember,
    rebalance: rejoin,
    // A generation that was never synced is forgotten in a failover. Should a late copy of an old JoinGroup have formed
    // the new one instead, the claim rule (start-rule.ts) keeps others off what that copy did not report.
    'illegal-generation': rejoin,
    'unknown-member': fenceAsNew,
    'coordinator-lost': find,
    'lease-end': endLease,
    stalled: mute,
    drain: (state) => to({ kind: 'leaving', lease: state.lease, phase: 'join-pending', again: false }, join),
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': remember,
    'all-closed': stay,
    'peer-gone': leaveFor,
    nudge: heartbeatNow,
    fatal: fail,
  },
  member: {
    start: stay,
    accepted: extend,
    joined: stay,
    synced: stay,
    rebalance: rejoin,
    // No Join of ours is out, yet the group moved on: a late copy of an old JoinGroup may have formed a generation
    // without our newest slot. Counts as not being a member (L1).
    'illegal-generation': fenceAsNew,
    'unknown-member': fenceAsNew,
    'coordinator-lost': find,
    'lease-end': endLease,
    stalled: mute,
    drain: (state) => to({ kind: 'leaving', lease: state.lease, phase: 'join-pending', again: false }, join),
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': rejoin,
    'all-closed': stay,
    'peer-gone': leaveFor, // the rebalance follows the answer: a Join that overtook the LeaveGroup would change nothing
    nudge: heartbeatNow,
    fatal: fail,
  },
  fenced: {
    start: stay,
    accepted: stay, // no lease to extend
    joined: (state) =>
      state.phase === 'join-pending' ? to({ ...state, phase: 'sync-pending' }, { kind: 'sync' }) : stay(state),
    synced: syncedFenced,
    rebalance: rejoinFenced,
    'illegal-generation': rejoinFenced,
    'unknown-member': (state) =>
      state.phase === 'closing' ? stay(state) : to({ ...state, phase: 'join-pending' }, forget, joinAsNew),
    'coordinator-lost': find,
    'lease-end': stay,
    stalled: stay,
    drain: () => to(ended, leave, exit),
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': stay,
    'all-closed': (state) =>
      state.phase === 'closing' ? to({ ...state, phase: 'join-pending' }, joinAsNew) : stay(state),
    'peer-gone': leaveFor,
    nudge: stay,
    fatal: fail,
  },
  leaving: {
    start: stay,
    accepted: extend,
    joined: (state, event) =>
      state.phase === 'join-pending'
        ? to(
            { ...state, phase: 'sync-pending', lease: extendLease(state.lease, 'join', event.sentAtMs) },
            { kind: 'sync' },
          )
        : stay(state),
    synced: syncedLeaving,
    rebalance: rejoinLeaving,
    'illegal-generation': (state) => (state.phase === 'member' ? dropAndExit() : rejoinLeaving(state)), // L1, as for a member
    'unknown-member': dropAndExit,
    'coordinator-lost': find,
    'lease-end': () => to(ended, dropAll, leave, exit),
    stalled: mute,
    drain: stay,
    'empty-handed': () => to(ended, leave, exit),
    'drain-deadline': () => to(ended, dropAll, leave, exit),
    'want-rebalance': (state) => (state.phase === 'member' ? rejoinLeaving(state) : stay({ ...state, again: true })),
    'all-closed': stay,
    'peer-gone': leaveFor,
    nudge: heartbeatNow,
    fatal: fail,
  },
  ended: {
    start: stay,
    accepted: stay,
    joined: stay,
    synced: stay,
    rebalance: stay,
    'illegal-generation': stay,
    'unknown-member': stay,
    'coordinator-lost': find, // LeaveGroup is still repeated
    'lease-end': stay,
    stalled: stay,
    drain: stay,
    'empty-handed': stay,
    'drain-deadline': stay,
    'want-rebalance': stay,
    'all-closed': stay,
    'peer-gone': stay,
    nudge: stay,
    fatal: stay,
  },
};

export function stepWorker(state: WorkerState, event: WorkerEvent): WorkerStep {
  // The table's type has proved each cell against its own state and event; the lookup forgets that they belong together.
  const cell = table[state.kind][event.kind] as unknown as (state: WorkerState, event: WorkerEvent) => WorkerStep;
  return cell(state, event);
}

/** The lease of a state that has one. */
export function leaseOf(state: WorkerState): Lease | null {
  return 'lease' in state ? state.lease : null;
}
