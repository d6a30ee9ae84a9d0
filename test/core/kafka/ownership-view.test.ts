import { expect, test } from '@jest/globals';
import { type Placement, type Plan, type SlotOwnership } from '../../../schemas/ownership.ts';
import { compareOwnership, OwnershipView } from '../../../core/kafka/ownership-view.ts';

const wish = (instance: string, drain: boolean): Placement => ({
  instance,
  drain,
  changedBy: 'test',
  changedAtNs: 0n,
  incarnation: '',
});
const record = (state: 'held' | 'released', epoch: bigint, slot = 0): SlotOwnership => ({
  slot,
  state,
  epoch,
  lastSeq: 0n,
  sinceNs: 0n,
  reason: 'start',
  fromEpoch: 0n,
  fromSeq: 0n,
});
const plan = (version: bigint, generation: number): Plan => ({
  version,
  generation,
  members: [],
  slots: [],
  leader: 0,
});

test.each([
  ['a higher epoch over a lower one', record('held', 6n), record('released', 5n), 1],
  ['released over held within an epoch', record('released', 5n), record('held', 5n), 1],
  ['the same', record('held', 5n), record('held', 5n), 0],
] as const)('OV1: %s', (_what, a, b, expected) => {
  expect(Math.sign(compareOwnership(a, b))).toBe(expected);
  expect(Math.sign(compareOwnership(b, a))).toBe(expected === 0 ? 0 : -expected);
});

test('OV1: slots do not mix, and what is lower leaves what is known', () => {
  const view = new OwnershipView();
  view.applySlot(record('held', 7n));
  view.applySlot(record('held', 3n, 1));
  expect(view.applySlot(record('released', 6n))).toBe('lower');
  expect([...view.slots()].map(([slot, { epoch }]) => [slot, epoch])).toEqual([
    [0, 7n],
    [1, 3n],
  ]);
  expect(view.slot(2)).toBeNull();
});

test('OV1, OV2: of plans the highest version, of equal versions the later', () => {
  const view = new OwnershipView();
  expect(view.plan).toBeNull();
  const told = [plan(5n, 1), plan(5n, 1), plan(5n, 2), plan(4n, 9), plan(6n, 1)].map((next) => view.applyPlan(next));
  expect(told).toEqual(['changed', 'same', 'changed', 'lower', 'changed']);
  expect(view.plan).toMatchObject({ version: 6n, generation: 1 });
});

test('OV3: of wishes with one key the later counts, and null withdraws it', () => {
  const view = new OwnershipView();
  view.applyPlace(3, wish('i-1', false));
  view.applyPlace(3, wish('i-2', false));
  view.applyPlace(4, wish('i-1', false));
  view.applyPlace(4, null);
  view.applyPlace(5, null);
  expect([...view.places].map(([slot, { instance }]) => [slot, instance])).toEqual([[3, 'i-2']]);
  view.applyDrain('i-1', wish('i-1', true));
  view.applyDrain('i-2', wish('i-2', true));
  view.applyDrain('i-2', null);
  view.applyDrain('i-1', wish('i-1', true));
  expect([...view.drains.keys()]).toEqual(['i-1']);
  view.applyDrain('i-1', wish('i-1', false)); // says that it is not to be emptied
  expect(view.drains.size).toBe(0);
});
