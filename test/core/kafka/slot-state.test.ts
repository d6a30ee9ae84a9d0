import { expect, test } from '@jest/globals';
import {
  heldEpochs,
  stepSlot,
  type SlotEvent,
  type SlotEventKind,
  type SlotKind,
  type SlotState,
} from '../../../core/kafka/slot-state.ts';

/** State after the event, then effects; `.` stays, `!` throws. A missing cell does not compile. */
type Row = Record<SlotEventKind, string>;
type Case = SlotKind | 'acquiring, commit sent';

const states: Record<Case, SlotState> = {
  none: { kind: 'none' },
  assigned: { kind: 'assigned' },
  acquiring: { kind: 'acquiring', epoch: null },
  'acquiring, commit sent': { kind: 'acquiring', epoch: 7n },
  active: { kind: 'active', epoch: 7n },
  releasing: { kind: 'releasing', epoch: 7n, mine: true, stage: 'flushing' },
  lost: { kind: 'lost', mine: true, owedEpoch: null },
};
const events: Record<SlotEventKind, SlotEvent> = {
  'plan-mine': { kind: 'plan-mine' },
  'plan-other': { kind: 'plan-other' },
  'plan-prev': { kind: 'plan-prev', prevEpoch: 7n },
  startable: { kind: 'startable' },
  freeze: { kind: 'freeze' },
  'commit-sent': { kind: 'commit-sent', epoch: 7n },
  claimed: { kind: 'claimed' },
  'claim-refused': { kind: 'claim-refused', uncertain: false },
  acquired: { kind: 'acquired' },
  'producer-fenced': { kind: 'producer-fenced' },
  displaced: { kind: 'displaced', epoch: 8n },
  flushed: { kind: 'flushed', lastSeq: 3n },
  'release-acked': { kind: 'release-acked' },
  drop: { kind: 'drop' },
  closed: { kind: 'closed' },
  stuck: { kind: 'stuck' },
};
const quiet: Row = {
  'plan-mine': '.',
  'plan-other': '.',
  'plan-prev': '.',
  startable: '.',
  freeze: '.',
  'commit-sent': '.',
  claimed: '.',
  'claim-refused': '.',
  acquired: '.',
  'producer-fenced': '.',
  displaced: '.',
  flushed: '.',
  'release-acked': '.',
  drop: '.',
  closed: '.',
  stuck: '.',
};
const table: Record<Case, Row> = {
  none: {
    ...quiet,
    'plan-mine': 'assigned',
    'plan-prev': '. write-release',
    startable: '!',
    'commit-sent': '!',
  },
  assigned: {
    ...quiet,
    'plan-other': 'none',
    'plan-prev': 'none write-release',
    startable: 'acquiring claim',
    'commit-sent': '!',
    drop: 'none',
    stuck: '. want-rebalance',
  },
  acquiring: {
    ...quiet,
    'plan-other': 'none cancel-claim',
    'plan-prev': 'none cancel-claim write-release',
    freeze: 'assigned cancel-claim', // O7
    claimed: '!',
    'claim-refused': 'assigned',
    acquired: '!',
    'producer-fenced': 'lost drop want-rebalance',
    drop: 'none cancel-claim',
    stuck: 'none cancel-claim want-rebalance',
  },
  'acquiring, commit sent': {
    ...quiet,
    'plan-other': 'releasing release',
    'plan-prev': 'releasing release',
    claimed: '. begin',
    'claim-refused': 'assigned',
    acquired: 'active activate',
    'producer-fenced': 'lost drop want-rebalance',
    displaced: 'lost drop want-rebalance',
    drop: 'lost drop',
    stuck: 'releasing release want-rebalance',
  },
  active: {
    ...quiet,
    'plan-other': 'releasing release',
    'plan-prev': 'releasing release',
    'commit-sent': '!',
    claimed: '!',
    'claim-refused': '!',
    acquired: '!',
    'producer-fenced': 'lost drop want-rebalance',
    displaced: 'lost drop want-rebalance',
    flushed: '!',
    'release-acked': '!',
    drop: 'lost drop',
    stuck: 'releasing release want-rebalance',
  },
  releasing: { ...quiet, flushed: '. write-release', 'release-acked': 'assigned', drop: 'lost drop' },
  lost: { ...quiet, closed: 'assigned' },
};

function show(before: SlotState, event: SlotEvent): string {
  try {
    const { state, effects } = stepSlot(before, event);
    return [state.kind === before.kind ? '.' : state.kind, ...effects.map(({ kind }) => kind)].join(' ');
  } catch {
    return '!';
  }
}

const cells = Object.entries(table).flatMap(([state, row]) =>
  Object.entries(row).map(([event, expected]) => ({ state, event, expected })),
);

test.each(cells)('$state, $event: $expected', ({ state, event, expected }) => {
  expect(show(states[state as Case], events[event as SlotEventKind])).toBe(expected);
});

test('O12: a claim whose answer was lost and that is refused then still owes its release', () => {
  const { state, effects } = stepSlot(states['acquiring, commit sent'], { kind: 'claim-refused', uncertain: true });
  expect(state).toEqual({ kind: 'releasing', epoch: 7n, mine: true, stage: 'flushing' });
  expect(effects).toEqual([{ kind: 'release' }]);
});

test('C11: a release that is owed is written once the lost slot is closed', () => {
  const owing = stepSlot(states.lost, events['plan-prev']).state;
  expect(stepSlot(owing, events.closed)).toEqual({
    state: { kind: 'none' },
    effects: [{ kind: 'write-release', epoch: 7n, lastSeq: null }],
  });
});

test('O11: a second flush writes no second release', () => {
  const writing = stepSlot(states.releasing, events.flushed).state;
  expect(stepSlot(writing, events.flushed)).toEqual({ state: writing, effects: [] });
});

test('a record of our own epoch, or a lower one, displaces nobody', () => {
  expect(show(states.active, { kind: 'displaced', epoch: 7n })).toBe('.');
});

test('SL1: a slot is reported from the commit of its claim to the end of its release', () => {
  const all = Object.values(states).map((state, slot) => [slot, state] as const);
  const { held, releasing } = heldEpochs(all);
  expect([...held]).toEqual([
    [3, 7n],
    [4, 7n],
  ]);
  expect([...releasing]).toEqual([[5, 7n]]);
});
