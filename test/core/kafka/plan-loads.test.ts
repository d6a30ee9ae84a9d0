import { expect, test } from '@jest/globals';
import { draftSlots, type PlanMember } from '../../../core/kafka/plan-draft.ts';
import { PlanLoads } from '../../../core/kafka/plan-loads.ts';
import { holding, memberReport } from '../../support/plan-group.ts';

test('a load is weight by capacity, and nobody without capacity can take any', () => {
  const a = memberReport('a', { held: holding([0, 1]), weights: new Map([[0, 8], [1, 2]]) }); // prettier-ignore
  const members: PlanMember[] = [
    { ...a, capacity: 2 },
    { ...memberReport('b'), capacity: 3 },
    { ...memberReport('c'), capacity: 0 },
  ];
  const drafts = draftSlots(2, members, null);
  for (const draft of drafts) draft.owner = 0;
  const loads = new PlanLoads(drafts, members);
  expect([loads.of(0), loads.of(1), loads.of(2), loads.mean]).toEqual([5, 0, Number.POSITIVE_INFINITY, 2]);
  loads.add(0, -8);
  loads.add(1, 8);
  expect([loads.of(0), loads.after(0, -2), loads.after(1, 1)]).toEqual([1, 0, 3]);
  expect(new PlanLoads([], []).mean).toBe(0);
});
