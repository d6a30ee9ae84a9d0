import { expect, test } from '@jest/globals';
import { mayStart } from '../../../core/kafka/start-rule.ts';
import { OwnershipView } from '../../../core/kafka/ownership-view.ts';
import { type Plan, type SlotOwnership } from '../../../schemas/ownership.ts';

const member = (memberId: string) => ({ instance: memberId, incarnation: memberId, memberId, peer: '', zone: '' });
const plan = (prev: number, prevEpoch: bigint): Plan => ({
  version: 1n,
  generation: 1,
  members: [member('a'), member('b')],
  slots: [{ owner: 1, standby: 2, prev, prevEpoch, reason: 1 }],
  leader: 0,
});
const record = (state: 'held' | 'released', memberId: string, epoch: bigint): SlotOwnership => ({
  slot: 0,
  holder: member(memberId),
  state,
  epoch,
  lastSeq: 0n,
  sinceNs: 0n,
  reason: 'start',
  fromEpoch: 0n,
  fromSeq: 0n,
});

test.each([
  ['nobody has to let go', plan(0, 0n), null, true],
  ['nobody has to let go, whatever stands there', plan(0, 0n), record('held', 'b', 9n), true],
  ['prev has said nothing', plan(2, 5n), null, false],
  ['prev holds it', plan(2, 5n), record('held', 'b', 5n), false],
  ['O6: prev released an older epoch', plan(2, 5n), record('released', 'b', 4n), false],
  ['O6: somebody else released the epoch', plan(2, 5n), record('released', 'a', 5n), false],
  ['O6: prev released it', plan(2, 5n), record('released', 'b', 5n), true],
  ['C2: a later holder claimed and died', plan(2, 5n), record('held', 'gone', 6n), true],
] as const)('%s', (_name, given, known, expected) => {
  expect(mayStart(given, 0, known)).toBe(expected);
});

test('O15: readers end with the highest epoch, released over held, whatever the order', () => {
  const records = [
    record('held', 'a', 5n),
    record('released', 'a', 5n),
    record('held', 'b', 7n),
    record('held', 'a', 6n),
  ];
  for (const order of [records, records.toReversed(), [records[2], records[0], records[3], records[1]]]) {
    const view = new OwnershipView();
    for (const next of order) view.applySlot(next!);
    expect(view.slot(0)).toMatchObject({ epoch: 7n, holder: { memberId: 'b' } });
  }
});

test('the heal rule hears of a record that is followed by a lower one', () => {
  const view = new OwnershipView();
  expect(view.applySlot(record('held', 'b', 7n))).toBe('changed');
  expect(view.applySlot(record('held', 'b', 7n))).toBe('same');
  expect(view.applySlot(record('released', 'a', 6n))).toBe('lower');
  expect(view.applySlot(record('released', 'b', 7n))).toBe('changed');
  expect(view.applySlot(record('held', 'b', 7n))).toBe('lower');
  expect(view.applyPlan(plan(0, 0n))).toBe('changed');
  expect(view.applyPlan({ ...plan(0, 0n), generation: 2 })).toBe('changed'); // C13: of equal versions the later
  expect(view.applyPlan({ ...plan(0, 0n), version: 0n })).toBe('lower');
});
