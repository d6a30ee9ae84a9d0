import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { draftSlots, type PlanMember, type SlotDraft } from '../../../core/kafka/plan-draft.ts';
import { chooseStandbys } from '../../../core/kafka/plan-standby.ts';
import { memberReport } from '../../support/plan-group.ts';

const member = (zone = '', capacity = 100, unable: readonly number[] = []): PlanMember => ({
  ...memberReport(`m-${zone}`, { zone, unable: new Set(unable) }),
  capacity,
});
/** Slots that `owners` own, by index of member. */
function drafted(
  owners: readonly number[],
  members: readonly PlanMember[],
  changes: Partial<SlotDraft> = {},
): SlotDraft[] {
  return draftSlots(owners.length, members, null).map((draft, slot) => ({
    ...draft,
    owner: owners[slot]!,
    ...changes,
  }));
}
function standbysOf(drafts: readonly SlotDraft[], members: readonly PlanMember[]): number[] {
  chooseStandbys(drafts, members);
  return drafts.map(({ standby }) => standby);
}
const countsOf = (standbys: readonly number[], members: number): number[] =>
  Array.from({ length: members }, (_, index) => standbys.filter((standby) => standby === index).length);

test('the standby is in another zone than the owner where there is one, and never who has no capacity', () => {
  const members = [member('x'), member('x'), member('y'), member('z', 0)];
  expect(standbysOf(drafted([0, 1, 0, 1], members), members)).toEqual([2, 2, 2, 2]);
  expect(standbysOf(drafted([2, 2], members), members).sort()).toEqual([0, 1]);
  expect(standbysOf(drafted([0], [member()]), [member()])).toEqual([-1]);
});

test('an unable member stands by only where nobody else can', () => {
  const members = [member('x'), member('y', 100, [0, 1]), member('x', 100, [1])];
  expect(standbysOf(drafted([0, 0], members), members)).toEqual([2, 1]);
});

test('who is to receive the slot for balance stands by for it, whatever its zone', () => {
  const members = [member('x'), member('x'), member('y')];
  expect(standbysOf(drafted([0, 0], members, { receiver: 1, previousStandby: 2 }), members)).toEqual([1, 1]);
});

test('PS1: who stood by goes on, up to its share', () => {
  const members = [member(), member(), member()];
  expect(countsOf(standbysOf(drafted([0, 0, 0, 0], members, { previousStandby: 2 }), members), 3)).toEqual([0, 2, 2]);
  expect(standbysOf(drafted([0, 0], [member(), member()], { previousStandby: 1 }), [member(), member()])).toEqual([
    1, 1,
  ]);
});

test('PS2: the standbys of one owner are spread by capacity over all the others', () => {
  const members = [member(), member(), member(), member('', 200)];
  const owners = Array.from({ length: 40 }, (_, slot) => (slot < 20 ? 0 : 1));
  const standbys = standbysOf(drafted(owners, members), members);
  expect(countsOf(standbys.slice(0, 20), 4)).toEqual([0, 5, 5, 10]);
  expect(countsOf(standbys.slice(20), 4)).toEqual([5, 0, 5, 10]);
});

test('PS3: who gave the slot to its standby stands by for it', () => {
  const members = [member(), member(), member()];
  expect(standbysOf(drafted([1], members, { holder: 2, previousStandby: 1 }), members)).toEqual([2]);
});

test('PS1: choosing again from the result changes nothing', () => {
  const group = fc.record({
    members: fc.array(fc.tuple(fc.constantFrom('x', 'y', 'z'), fc.constantFrom(0, 50, 100)), {
      minLength: 1,
      maxLength: 6,
    }),
    slots: fc.array(fc.record({ owner: fc.nat(5), previousStandby: fc.integer({ min: -1, max: 5 }) }), {
      maxLength: 40,
    }),
  });
  fc.assert(
    fc.property(group, ({ members, slots }) => {
      const all = members.map(([zone, capacity]) => member(zone, capacity));
      const within = (index: number): number => (index < all.length ? index : -1);
      const drafts = draftSlots(slots.length, all, null).map((draft, slot) => ({
        ...draft,
        owner: within(slots[slot]!.owner),
        previousStandby: within(slots[slot]!.previousStandby),
      }));
      const first = standbysOf(drafts, all);
      expect(
        standbysOf(
          drafts.map((draft, slot) => ({ ...draft, previousStandby: first[slot]! })),
          all,
        ),
      ).toEqual(first);
    }),
  );
});
