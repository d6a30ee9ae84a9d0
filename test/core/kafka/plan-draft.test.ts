import { expect, test } from '@jest/globals';
import { draftSlots, isWarm, type PlanMember } from '../../../core/kafka/plan-draft.ts';
import { type Plan } from '../../../schemas/ownership.ts';
import { holding, memberReport } from '../../support/plan-group.ts';

const member = (...args: Parameters<typeof memberReport>): PlanMember => ({ ...memberReport(...args), capacity: 100 });

test('P4: the highest epoch is the holder, whether it holds the slot or lets it go', () => {
  const members = [
    member('a', { held: holding([0, 1], 5n), releasing: holding([2], 9n) }),
    member('b', { held: holding([1, 2], 7n) }),
  ];
  expect(draftSlots(4, members, null)).toMatchObject([
    { holder: 0, holderEpoch: 5n, releasing: false },
    { holder: 1, holderEpoch: 7n, releasing: false },
    { holder: 0, holderEpoch: 9n, releasing: true },
    { holder: -1 },
  ]);
});

test('members of the plan before are found by process, not by member id or number', () => {
  const who = (instance: string, incarnation: string) => ({
    instance,
    incarnation,
    memberId: 'old',
    peer: '',
    zone: '',
  });
  const previous: Plan = {
    version: 1n,
    generation: 1,
    leader: 1,
    members: [who('b', 'b'), who('a', 'an earlier run')],
    slots: [
      { owner: 1, standby: 2, prev: 0, prevEpoch: 0n, reason: 3 },
      { owner: 9, standby: 0, prev: 0, prevEpoch: 0n, reason: 1 },
    ],
  };
  expect(draftSlots(3, [member('a'), member('b')], previous)).toMatchObject([
    { previousOwner: 1, previousStandby: -1, previousReason: 3, reason: 'crash' },
    { previousOwner: -1, previousStandby: -1 },
    { previousOwner: -1, previousStandby: -1, previousReason: 0, reason: 'start' },
  ]);
});

test('a slot weighs what its holder says', () => {
  const a = member('a', { held: holding([0]), weights: new Map([[0, 8]]) });
  const b = member('b', { releasing: holding([1]), weights: new Map([[0, 64]]) });
  expect(draftSlots(2, [a, b], null).map(({ weight }) => weight)).toEqual([8, 8]);
});

test('warm is who says so, who cannot say it, and who was about to take the slot', () => {
  const [draft] = draftSlots(1, [member('a'), member('b')], null);
  const warm = new Set([0]);
  expect(isWarm(member('a'), 0, draft!)).toBe(false);
  expect(isWarm(member('a', { warm }), 0, draft!)).toBe(true);
  expect(isWarm(member('a', { format: 1 }), 0, draft!)).toBe(true);
  expect(isWarm(member('a'), 0, { ...draft!, previousOwner: 0 })).toBe(true);
});
