import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type HeldReport } from '../../../core/kafka/held-report.ts';
import { computePlan, nextPlanVersion, noPlacements, type MemberReport } from '../../../core/kafka/plan.ts';
import { type Plan } from '../../../schemas/ownership.ts';

const report = (instance: string, fields: Partial<HeldReport> = {}): MemberReport => ({
  memberId: `${instance}-id`,
  report: {
    instance,
    incarnation: instance,
    peer: '',
    zone: '',
    capacity: 100,
    draining: false,
    nonce: 0,
    adoptedVersion: 0n,
    held: new Map(),
    releasing: new Map(),
    warm: new Set(),
    unable: new Set(),
    ...fields,
  },
});
const meta = (slots: number) => ({ slots, version: 1n, generation: 1 });
const owners = (plan: Plan): (string | undefined)[] => plan.slots.map(({ owner }) => plan.members[owner - 1]?.instance);
const counts = (plan: Plan): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const owner of owners(plan)) found[owner ?? '-'] = (found[owner ?? '-'] ?? 0) + 1;
  return found;
};
const heldBy = (plan: Plan, instance: string): Map<number, bigint> =>
  new Map(owners(plan).flatMap((owner, slot): [number, bigint][] => (owner === instance ? [[slot, 10n]] : [])));

test('a first plan spreads the slots evenly and asks nobody to let go', () => {
  const { plan, leftovers } = computePlan([report('a'), report('b')], meta(16), null, noPlacements);
  expect(counts(plan)).toEqual({ a: 8, b: 8 });
  expect(plan.slots.every(({ prev }) => prev === 0)).toBe(true);
  expect(leftovers).toBe(0);
});

test('P3: a third member gets at most max(4, P/8) slots a round, each with prev and its epoch; the rest is left over', () => {
  const first = computePlan([report('a'), report('b')], meta(16), null, noPlacements).plan;
  const [a, b] = [report('a', { held: heldBy(first, 'a') }), report('b', { held: heldBy(first, 'b') })];
  const second = computePlan([a, b, report('c')], meta(16), first, noPlacements);
  expect(counts(second.plan)['c']).toBe(4);
  expect(second.leftovers).toBe(1);
  for (const { owner, prev, prevEpoch } of second.plan.slots) {
    expect(prev !== 0).toBe(owner === 3);
    expect(prevEpoch).toBe(owner === 3 ? 10n : 0n);
  }
});

test('P3: a slot that has a warm member moves there or not at all', () => {
  const held = new Map([0, 1, 2, 3].map((slot): [number, bigint] => [slot, 5n]));
  const warm = new Set([0, 1, 2, 3]);
  const { plan } = computePlan(
    [report('a', { held }), report('b'), report('c', { warm })],
    meta(4),
    null,
    noPlacements,
  );
  expect(counts(plan)).toEqual({ a: 3, c: 1 });
});

test('P2: a draining member loses everything at once, to those that stay', () => {
  const first = computePlan([report('a'), report('b')], meta(64), null, noPlacements).plan;
  const { plan } = computePlan(
    [report('a', { held: heldBy(first, 'a'), draining: true }), report('b', { held: heldBy(first, 'b') })],
    meta(64),
    first,
    noPlacements,
  );
  expect(counts(plan)).toEqual({ b: 64 });
  expect(plan.slots.filter(({ prev }) => prev === 1)).toHaveLength(32);
});

test('C10: when everybody is draining nobody owns, and holders are asked to let go', () => {
  const { plan } = computePlan(
    [report('a', { held: new Map([[0, 3n]]), draining: true })],
    meta(2),
    null,
    noPlacements,
  );
  expect(plan.slots).toMatchObject([
    { owner: 0, prev: 1, prevEpoch: 3n },
    { owner: 0, prev: 0 },
  ]);
});

test('P4: of two reports the higher epoch counts', () => {
  const { plan } = computePlan(
    [report('a', { held: new Map([[0, 3n]]) }), report('b', { held: new Map([[0, 4n]]) })],
    meta(1),
    null,
    noPlacements,
  );
  expect(plan.slots[0]).toMatchObject({ owner: 2, prev: 0 });
});

test('P2: an unable member is avoided while another exists', () => {
  const unable = new Set([0]);
  expect(owners(computePlan([report('a', { unable }), report('b')], meta(1), null, noPlacements).plan)).toEqual(['b']);
  expect(owners(computePlan([report('a', { unable })], meta(1), null, noPlacements).plan)).toEqual(['a']);
});

test('wishes: a placed slot moves to its instance, a drained instance gets nothing', () => {
  const held = new Map([
    [0, 3n],
    [1, 3n],
  ] as const);
  const placed = { drained: new Set<string>(), placed: new Map([[1, 'b']]) };
  expect(owners(computePlan([report('a', { held }), report('b')], meta(2), null, placed).plan)).toEqual(['a', 'b']);
  const drained = { drained: new Set(['a']), placed: new Map<number, string>() };
  expect(owners(computePlan([report('a', { held }), report('b')], meta(2), null, drained).plan)).toEqual(['b', 'b']);
});

test('standbys are another member, in another zone where there is one', () => {
  const { plan } = computePlan(
    [report('a', { zone: 'x' }), report('b', { zone: 'x' }), report('c', { zone: 'y' })],
    meta(12),
    null,
    noPlacements,
  );
  const zones = plan.members.map(({ zone }) => zone);
  for (const { owner, standby } of plan.slots) expect(zones[standby - 1]).not.toBe(zones[owner - 1]);
});

test('C13: a version is above every known one, and unix ms is only a floor', () => {
  expect(nextPlanVersion([5n, 9n], 7)).toBe(10n);
  expect(nextPlanVersion([5n], 7)).toBe(7n);
});

const slotCount = 24;
const groups = fc
  .array(
    fc.record({
      draining: fc.boolean(),
      zone: fc.constantFrom('', 'x', 'y'),
      capacity: fc.constantFrom(50, 100, 200),
      warm: fc.uniqueArray(fc.nat(slotCount - 1)),
      unable: fc.uniqueArray(fc.nat(slotCount - 1), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .chain((members) =>
    fc.record({
      members: fc.constant(members),
      // who holds a slot (−1: nobody), at which epoch, and whether it is letting go
      holders: fc.array(
        fc.tuple(fc.integer({ min: -1, max: members.length - 1 }), fc.bigInt({ min: 1n, max: 1_000n }), fc.boolean()),
        { minLength: slotCount, maxLength: slotCount },
      ),
    }),
  )
  .map(({ members, holders }) =>
    members.map(({ draining, zone, capacity, warm, unable }, index) => {
      const mine = holders.flatMap(([holder, epoch, letsGo], slot) =>
        holder === index ? [{ slot, epoch, letsGo }] : [],
      );
      const pick = (letsGo: boolean) =>
        new Map(
          mine.filter((entry) => entry.letsGo === letsGo).map(({ slot, epoch }): [number, bigint] => [slot, epoch]),
        );
      return report(`m${index}`, {
        draining,
        zone,
        capacity,
        warm: new Set(warm),
        unable: new Set(unable),
        held: pick(false),
        releasing: pick(true),
      });
    }),
  );

test('O10: one owner, never its own standby, never a draining member while another exists; prev is who reported', () => {
  fc.assert(
    fc.property(groups, (reports) => {
      const { plan } = computePlan(reports, meta(slotCount), null, noPlacements);
      expect(plan.slots).toHaveLength(slotCount);
      const byInstance = new Map(reports.map((entry) => [entry.report.instance, entry.report]));
      const reportOf = (index: number) => byInstance.get(plan.members[index - 1]?.instance ?? '');
      const anybody = reports.some((entry) => !entry.report.draining);
      for (const [slot, { owner, standby, prev, prevEpoch }] of plan.slots.entries()) {
        expect(owner > 0).toBe(anybody);
        if (owner > 0) expect(reportOf(owner)?.draining).toBe(false);
        if (owner > 0) expect(standby).not.toBe(owner);
        const holder = reports.find(({ report: { held, releasing } }) => held.has(slot) || releasing.has(slot))?.report;
        const holds = holder !== undefined && holder.instance === reportOf(owner)?.instance;
        expect(reportOf(prev)?.instance).toBe(holds ? undefined : holder?.instance);
        if (prev > 0) expect(prevEpoch).toBe(holder?.held.get(slot) ?? holder?.releasing.get(slot));
      }
    }),
  );
});

test('O10: the same input gives the same plan, in whatever order the reports come', () => {
  fc.assert(
    fc.property(groups, (reports) => {
      const forwards = computePlan(reports, meta(slotCount), null, noPlacements);
      expect(computePlan(reports.toReversed(), meta(slotCount), forwards.plan, noPlacements)).toEqual(
        computePlan(reports, meta(slotCount), forwards.plan, noPlacements),
      );
    }),
  );
});

test('O10: at most max(4, P/8) balancing moves a round, and rounds come to rest: then no needless move', () => {
  fc.assert(
    fc.property(groups, (reports) => {
      fc.pre(reports.some((entry) => !entry.report.draining));
      let current = reports;
      let previous: Plan | null = null;
      for (let round = 0; ; round += 1) {
        const { plan, leftovers } = computePlan(current, meta(slotCount), previous, noPlacements);
        const balancing = plan.slots.filter(({ prev, reason }) => prev > 0 && reason === 5).length;
        expect(balancing).toBeLessThanOrEqual(4);
        const moved = plan.slots.some(({ prev }) => prev > 0);
        if (!moved && leftovers === 0 && previous !== null) {
          expect(owners(plan)).toEqual(owners(previous)); // at rest
          return;
        }
        expect(round).toBeLessThan(20);
        previous = plan;
        current = current.map((entry) => ({
          ...entry,
          report: { ...entry.report, held: heldBy(plan, entry.report.instance), releasing: new Map() },
        }));
      }
    }),
  );
});
