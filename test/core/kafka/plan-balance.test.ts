import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { balanceOwners, giveFree } from '../../../core/kafka/plan-balance.ts';
import { draftSlots, type PlanMember, type SlotDraft } from '../../../core/kafka/plan-draft.ts';
import { PlanLoads } from '../../../core/kafka/plan-loads.ts';
import { type DecodedReport } from '../../../core/kafka/held-report.ts';
import { countsOf, holding, instancesOf, memberReport, PlanGroup } from '../../support/plan-group.ts';

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const everything = new Set(range(0, 64));
const member = (instance: string, fields: Partial<DecodedReport> = {}, capacity = 100): PlanMember => ({
  ...memberReport(instance, fields),
  capacity,
});
/** Every slot stays with who reports it; `change` is what else is known of it. */
function drafted(
  slots: number,
  members: readonly PlanMember[],
  change: (draft: SlotDraft) => Partial<SlotDraft> = () => ({}),
): SlotDraft[] {
  return draftSlots(slots, members, null)
    .map((draft) => ({ ...draft, owner: draft.holder }))
    .map((draft) => ({ ...draft, ...change(draft) }));
}
function balance(drafts: SlotDraft[], members: readonly PlanMember[], movesMax = 99): number {
  return balanceOwners(drafts, members, new PlanLoads(drafts, members), movesMax);
}
const ownersOf = (drafts: readonly SlotDraft[]): number[] => drafts.map(({ owner }) => owner);

test('PB1: with equal weights the counts come to differ by one, and nothing moves beyond that', () => {
  const members = [member('a', { held: holding(range(0, 7)) }), member('b', { warm: everything })];
  const drafts = drafted(7, members);
  expect(balance(drafts, members)).toBe(0);
  expect(ownersOf(drafts).filter((owner) => owner === 1)).toHaveLength(3);
  expect(drafts.filter(({ reason }) => reason === 'balance')).toHaveLength(3);
});

test('PB3: what is on its way to a member that will have too much is left over, and warms where it is to be', () => {
  const members = [
    member('a', { held: holding([3, 4, 5]), releasing: holding([0, 1, 2]) }),
    member('b'),
    member('c', { warm: everything }),
  ];
  const drafts = drafted(6, members, ({ slot }) => (slot < 3 ? { owner: 1 } : {}));
  expect(balance(drafts, members)).toBe(1);
  expect(ownersOf(drafts)).toEqual([1, 1, 1, 2, 0, 0]);
  expect(drafts.map(({ receiver }) => receiver)).toEqual([2, -1, -1, -1, -1, -1]);
});

test('PB1: loads are by capacity', () => {
  const members = [member('a', { held: holding(range(0, 12)) }, 100), member('b', { warm: everything }, 200)];
  const drafts = drafted(12, members);
  balance(drafts, members);
  expect(ownersOf(drafts).filter((owner) => owner === 1)).toHaveLength(8);
});

test('PB1: one heavy slot is worth many light ones', () => {
  const weights = new Map(range(0, 9).map((slot) => [slot, slot === 0 ? 800 : 100]));
  const members = [member('a', { held: holding(range(0, 9)), weights }), member('b', { warm: everything })];
  const drafts = drafted(9, members);
  balance(drafts, members);
  expect(ownersOf(drafts)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('PB1: where weights differ a move must gain a fifth of the mean load', () => {
  // 24 slots of weight 4 and one of weight 1; mean 48.5, so that a pair must be made better by 9.7.
  const weightsOf = (slots: readonly number[]) => new Map(slots.map((slot) => [slot, slot === 24 ? 1 : 4]));
  const split = (at: number): number => {
    const [mine, others] = [range(0, at), range(at, 25)];
    const members = [
      member('a', { held: holding(mine), weights: weightsOf(mine), warm: everything }),
      member('b', { held: holding(others), weights: weightsOf(others), warm: everything }),
    ];
    const drafts = drafted(25, members);
    balance(drafts, members);
    return drafts.filter((draft) => draft.owner !== draft.holder).length;
  };
  expect(split(13)).toBe(0); // 52 against 45
  expect(split(14)).toBe(1); // 56 against 41: 56 − 45 gains 11
});

test('PB2: a cold receiver stands by, the owner stays, and the move is left over', () => {
  const members = [member('a', { held: holding([0, 1, 2, 3]) }), member('b')];
  const drafts = drafted(4, members);
  expect(balance(drafts, members)).toBe(2);
  expect(ownersOf(drafts)).toEqual([0, 0, 0, 0]);
  expect(drafts.map(({ receiver }) => receiver)).toEqual([1, 1, -1, -1]);
});

test('PB2: who waited for a slot waits for the same one in the next round', () => {
  const members = [member('a', { held: holding([0, 1, 2, 3]) }), member('b')];
  const drafts = drafted(4, members, ({ slot }) => ({ previousStandby: slot >= 2 ? 1 : -1 }));
  balance(drafts, members);
  expect(drafts.map(({ receiver }) => receiver)).toEqual([-1, -1, 1, 1]);
});

test('PB2: of the slots of a donor the one goes for which the receiver is warm and stands by', () => {
  const members = [member('a', { held: holding([0, 1, 2]) }), member('b', { warm: new Set([1, 2]) })];
  const drafts = drafted(3, members, ({ slot }) => ({ previousStandby: slot === 2 ? 1 : -1 }));
  expect(balance(drafts, members)).toBe(0);
  expect(ownersOf(drafts)).toEqual([0, 0, 1]);
});

test('PB2: a member that cannot say what it is warm for counts as warm', () => {
  const members = [member('a', { held: holding([0, 1]) }), member('b', { format: 1 })];
  const drafts = drafted(2, members);
  expect(balance(drafts, members)).toBe(0);
  expect(ownersOf(drafts).toSorted()).toEqual([0, 1]);
});

test('PB3: no more than the limit moves, no more than the limit waits, and all that is left over is counted', () => {
  const held = holding(range(0, 30));
  const members = [member('a', { held }), member('b', { warm: everything }), member('c')];
  const drafts = drafted(30, members);
  expect(balance(drafts, members, 4)).toBe(16);
  expect(ownersOf(drafts).filter((owner) => owner === 1)).toHaveLength(4);
  expect(drafts.filter(({ receiver }) => receiver === 2)).toHaveLength(4);
});

test('PB3: slots that nobody holds, nor is ready for, are spread at once and without limit', () => {
  const members = [member('a'), member('b')];
  const drafts = drafted(20, members, () => ({ owner: 0, previousOwner: 0 }));
  expect(balance(drafts, members, 4)).toBe(0);
  expect(ownersOf(drafts).filter((owner) => owner === 1)).toHaveLength(10);
  const ready = [member('a', { warm: everything }), member('b')];
  const readyDrafts = drafted(20, ready, () => ({ owner: 0, previousOwner: 0 }));
  expect(balance(readyDrafts, ready, 4)).toBe(10);
  expect(ownersOf(readyDrafts)).toEqual(range(0, 20).map(() => 0));
});

test('PB4: slots that an operator placed move last', () => {
  const members = [member('a', { held: holding([0, 1, 2, 3]) }), member('b', { warm: everything })];
  const drafts = drafted(4, members, ({ slot }) => ({ reason: slot < 2 ? 'move' : 'start' }));
  balance(drafts, members);
  expect(ownersOf(drafts)).toEqual([0, 0, 1, 1]);
});

test('what a wish decided is left alone; so is a receiver that cannot run the slot', () => {
  const members = [member('a', { held: holding([0, 1]) }), member('b', { warm: everything, unable: new Set([1]) })];
  const drafts = drafted(2, members, ({ slot }) => ({ placed: slot === 0 }));
  expect(balance(drafts, members)).toBe(0);
  expect(ownersOf(drafts)).toEqual([0, 0]);
});

test('PB3: what is being let go does not move in this round, not even to who is warm', () => {
  const members = [member('a', { releasing: holding([0, 1]) }), member('b', { warm: everything })];
  const drafts = drafted(2, members);
  expect(balance(drafts, members)).toBe(1);
  expect(ownersOf(drafts)).toEqual([0, 0]);
});

test('a free slot goes to its warm standby, else to a warm member, else to its standby, else to the emptiest', () => {
  const given = (b: Partial<DecodedReport>, c: Partial<DecodedReport>, previousStandby: number): number => {
    const members = [member('a', { held: holding(range(0, 8)) }), member('b', b), member('c', c), member('d')];
    members[1] = member('b', { ...b, held: holding([8]) });
    const drafts = drafted(12, members, ({ slot }) => ({ previousStandby: slot === 9 ? previousStandby : -1 }));
    for (const draft of drafts) if (draft.slot > 9) draft.owner = 0;
    giveFree(drafts, members, new PlanLoads(drafts, members));
    return drafts[9]!.owner;
  };
  const warm = new Set([9]);
  expect(given({ warm }, { warm }, 1)).toBe(1);
  expect(given({}, { warm }, 1)).toBe(2);
  expect(given({}, {}, 1)).toBe(1);
  expect(given({}, {}, -1)).toBe(2); // c and d have nothing
});

test('who is ready for free slots gets them up to a quarter above the mean load, the rest goes to the emptiest', () => {
  const members = [member('a', { warm: everything }), member('b'), member('c', {}, 0)];
  const drafts = drafted(40, members);
  giveFree(drafts, members, new PlanLoads(drafts, members));
  expect(ownersOf(drafts).filter((owner) => owner === 0)).toHaveLength(25);
  expect(ownersOf(drafts).filter((owner) => owner === 1)).toHaveLength(15);
});

test('what ready members got beyond the mean load is left over: the emptier ones stand by for it', () => {
  const members = [member('a', { warm: everything }), member('b')];
  const drafts = drafted(40, members);
  giveFree(drafts, members, new PlanLoads(drafts, members));
  expect(balance(drafts, members)).toBe(5);
  expect(drafts.filter(({ owner, receiver }) => owner === 0 && receiver === 1)).toHaveLength(5);
  expect(ownersOf(drafts).filter((owner) => owner === 0)).toHaveLength(25);
});

test('a newcomer of a large group gets its share within P/k rounds and a few, and no slot moves twice', () => {
  const group = new PlanGroup(range(0, 3).map((index) => memberReport(`m${index}`)), 256); // prettier-ignore
  group.settle(5);
  const before = instancesOf(group.plan!);
  group.members.push(memberReport('m3'));
  const moved = new Map<number, number>();
  let [last, rounds] = [before, 0];
  for (let leftovers = 1; leftovers > 0; rounds += 1) {
    leftovers = group.round().leftovers;
    const now = instancesOf(group.plan!);
    for (const [slot, owner] of now.entries()) if (owner !== last[slot]) moved.set(slot, (moved.get(slot) ?? 0) + 1);
    last = now;
    expect(rounds).toBeLessThan(6);
  }
  expect(countsOf(group.plan!)).toEqual({ m0: 64, m1: 64, m2: 64, m3: 64 });
  expect([...moved.values()]).toEqual(Array.from({ length: 64 }, () => 1));
});

/** Slots whose move would still gain what PB1 asks for. */
function worthMoving(group: PlanGroup): number[] {
  const members = group.members
    .map(({ report, memberId }): PlanMember => ({ report, memberId, capacity: report.draining ? 0 : report.capacity }))
    .sort((a, b) => (a.report.instance < b.report.instance ? -1 : 1));
  const drafts = drafted(group.plan!.slots.length, members);
  const loads = new PlanLoads(drafts, members);
  const gainMin = new Set(drafts.map(({ weight }) => weight)).size > 1 ? loads.mean / 5 : 0;
  return drafts.flatMap(({ slot, owner, weight }) =>
    members.some((_, to) => {
      const gain = loads.of(owner) - loads.after(to, weight);
      return to !== owner && gain > 0 && gain >= gainMin;
    })
      ? [slot]
      : [],
  );
}

test('O10: joins, leaves and drains in any order come to rest, with no move left that is worth its gap', () => {
  const event = fc.record({
    kind: fc.constantFrom('join', 'leave', 'drain', 'round'),
    capacity: fc.constantFrom(50, 100, 200),
    zone: fc.constantFrom('', 'x'),
    which: fc.nat(9),
  });
  const weights = fc.array(fc.constantFrom(1, 2, 3, 10, 100), { minLength: 48, maxLength: 48 });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), weights, (events, weightOf) => {
      const group = new PlanGroup([memberReport('m0')], 48, (slot) => weightOf[slot]);
      for (const [index, { kind, which, capacity, zone }] of events.entries()) {
        const chosen = group.members[which % group.members.length]!.report.instance;
        if (kind === 'join') group.members.push(memberReport(`n${index}`, { capacity, zone }));
        if (kind === 'drain') group.change(chosen, { draining: true });
        if (kind === 'leave' && group.members.length > 1)
          group.members = group.members.filter(({ report: { instance } }) => instance !== chosen);
        group.round();
      }
      if (group.members.every(({ report: { draining } }) => draining)) group.members.push(memberReport('last'));
      const { plan } = group.settle(40);
      expect(group.round().plan.slots).toEqual(plan.slots);
      expect(worthMoving(group)).toEqual([]);
    }),
    { numRuns: 150 },
  );
});
