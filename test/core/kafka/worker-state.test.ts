import { expect, test } from '@jest/globals';
import { extendLease, newLease } from '../../../core/kafka/lease.ts';
import {
  leaseOf,
  stepWorker,
  type WorkerEvent,
  type WorkerEventKind,
  type WorkerKind,
  type WorkerState,
} from '../../../core/kafka/worker-state.ts';

/**
 * The truth table: state after the event, then effects; `.` stays as it was, `!` throws. A missing cell does not compile.
 * Leaving and fenced are shown with their phase.
 */
type Row = Record<WorkerEventKind, string>;

const lease = extendLease(extendLease(newLease(), 'join', 10), 'commit', 10);
const states: Record<WorkerKind, WorkerState> = {
  unjoined: { kind: 'unjoined' },
  'join-pending': { kind: 'join-pending', lease, again: false },
  'sync-pending': { kind: 'sync-pending', lease, again: false },
  member: { kind: 'member', lease },
  fenced: { kind: 'fenced', phase: 'sync-pending' },
  leaving: { kind: 'leaving', lease, phase: 'member', again: false },
  ended: { kind: 'ended' },
};
const error = new Error('no Read on the group');
const events: Record<WorkerEventKind, WorkerEvent> = {
  start: { kind: 'start' },
  accepted: { kind: 'accepted', proof: 'heartbeat', sentAtMs: 20 },
  joined: { kind: 'joined', sentAtMs: 20 },
  synced: { kind: 'synced', sentAtMs: 20 },
  rebalance: { kind: 'rebalance' },
  'illegal-generation': { kind: 'illegal-generation' },
  'unknown-member': { kind: 'unknown-member' },
  'coordinator-lost': { kind: 'coordinator-lost', lane: 'probe' },
  'lease-end': { kind: 'lease-end' },
  stalled: { kind: 'stalled', nowMs: 30, lostMs: 0 },
  drain: { kind: 'drain' },
  'empty-handed': { kind: 'empty-handed' },
  'drain-deadline': { kind: 'drain-deadline' },
  'want-rebalance': { kind: 'want-rebalance' },
  'all-closed': { kind: 'all-closed' },
  'peer-gone': { kind: 'peer-gone', memberId: 'b' },
  nudge: { kind: 'nudge' },
  fatal: { kind: 'fatal', error },
};

const quiet: Row = {
  start: '.',
  accepted: '.',
  joined: '.',
  synced: '.',
  rebalance: '.',
  'illegal-generation': '.',
  'unknown-member': '.',
  'coordinator-lost': '.',
  'lease-end': '.',
  stalled: '.',
  drain: '.',
  'empty-handed': '.',
  'drain-deadline': '.',
  'want-rebalance': '.',
  'all-closed': '.',
  'peer-gone': '.',
  nudge: '.',
  fatal: '.',
};
const holding: Row = {
  ...quiet,
  accepted: 'lease',
  stalled: 'lease',
  'unknown-member': 'fenced/closing drop-all abandon-join',
  'coordinator-lost': '. find',
  'lease-end': 'fenced/closing drop-all abandon-join leave',
  'peer-gone': '. leave-for',
  nudge: '. heartbeat-now',
  fatal: 'ended drop-all exit!',
};
const table: Record<WorkerKind, Row> = {
  unjoined: { ...quiet, start: 'join-pending join:new', 'lease-end': '!', drain: 'ended exit', fatal: 'ended exit!' },
  'join-pending': {
    ...holding,
    joined: 'sync-pending sync',
    drain: 'leaving/join-pending',
    'want-rebalance': 'again',
  },
  'sync-pending': {
    ...holding,
    synced: 'member adopt',
    rebalance: 'join-pending join',
    'illegal-generation': 'join-pending join',
    drain: 'leaving/join-pending join',
    'want-rebalance': 'again',
  },
  member: {
    ...holding,
    rebalance: 'join-pending join',
    'illegal-generation': 'fenced/closing drop-all abandon-join',
    drain: 'leaving/join-pending join',
    'want-rebalance': 'join-pending join',
  },
  fenced: {
    ...quiet,
    synced: 'member adopt',
    rebalance: 'fenced/join-pending join',
    'illegal-generation': 'fenced/join-pending join',
    'unknown-member': 'fenced/join-pending abandon-join join:new',
    'coordinator-lost': '. find',
    drain: 'ended leave exit',
    'peer-gone': '. leave-for',
    fatal: 'ended drop-all exit!',
  },
  leaving: {
    ...holding,
    rebalance: 'leaving/join-pending join',
    'illegal-generation': 'ended drop-all exit',
    'unknown-member': 'ended drop-all exit',
    'lease-end': 'ended drop-all leave exit',
    'empty-handed': 'ended leave exit',
    'drain-deadline': 'ended drop-all leave exit',
    'want-rebalance': 'leaving/join-pending join',
  },
  ended: { ...quiet, 'coordinator-lost': '. find' },
};

function show(before: WorkerState, event: WorkerEvent): string {
  let step;
  try {
    step = stepWorker(before, event);
  } catch {
    return '!';
  }
  const { state, effects } = step;
  const phase = (of: WorkerState): string => ('phase' in of ? `${of.kind}/${of.phase}` : of.kind);
  const again = 'again' in state && state.again && 'again' in before && !before.again;
  const changed = phase(state) !== phase(before);
  const renewed = leaseOf(state) !== leaseOf(before) && !changed;
  const head = changed ? phase(state) : again ? 'again' : renewed ? 'lease' : '.';
  const names = effects.map((effect) =>
    effect.kind === 'join' && effect.asNew
      ? 'join:new'
      : effect.kind === 'exit' && effect.error
        ? 'exit!'
        : effect.kind,
  );
  return [head, ...names].join(' ');
}

const cells = Object.entries(table).flatMap(([state, row]) =>
  Object.entries(row).map(([event, expected]) => ({ state, event, expected })),
);

test.each(cells)('$state, $event: $expected', ({ state, event, expected }) => {
  expect(show(states[state as WorkerKind], events[event as WorkerEventKind])).toBe(expected);
});

test('C4, O9: a plan counts only for the Join it belongs to', () => {
  const waiting: WorkerState = { kind: 'join-pending', lease, again: false };
  expect(stepWorker(waiting, events.synced)).toEqual({ state: waiting, effects: [] });
  for (const phase of ['closing', 'join-pending'] as const) {
    const fenced: WorkerState = { kind: 'fenced', phase };
    expect(stepWorker(fenced, events.synced)).toEqual({ state: fenced, effects: [] });
  }
});

test('C10: no second Join while one is out; what asked for it is raised after the Sync', () => {
  const asked = stepWorker(states['sync-pending'], events['want-rebalance']).state;
  const { state, effects } = stepWorker(asked, events.synced);
  expect(state).toMatchObject({ kind: 'join-pending', again: false });
  expect(effects.map(({ kind }) => kind)).toEqual(['adopt', 'join']);
});

test('C10: a drain during a Join is followed by another Join, which says draining', () => {
  const leaving = stepWorker(states['join-pending'], events.drain).state;
  const synced = stepWorker(stepWorker(leaving, events.joined).state, events.synced);
  expect(synced.state).toMatchObject({ kind: 'leaving', phase: 'join-pending' });
  expect(synced.effects).toEqual([
    { kind: 'adopt', acquire: false },
    { kind: 'join', asNew: false },
  ]);
});

test('O8: who was fenced has no lease until a commit is accepted after Join and Sync', () => {
  const fenced = stepWorker(states.member, events['unknown-member']).state;
  expect(leaseOf(fenced)).toBeNull();
  const joining = stepWorker(fenced, events['all-closed']);
  expect(joining.effects).toEqual([{ kind: 'join', asNew: true }]);
  const member = stepWorker(stepWorker(joining.state, events.joined).state, events.synced).state;
  expect(leaseOf(member)?.coordinatorAtMs).toBe(Number.NEGATIVE_INFINITY);
});
