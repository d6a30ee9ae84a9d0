import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { HoldfastError } from '../../../core/errors.ts';
import { type Joined } from '../../../core/kafka/coordinator.ts';
import { type DecodedReport, encodeHeldReport, reportBytesMax } from '../../../core/kafka/held-report.ts';
import { checkPlan, decodePlan, type LeaderKnowledge, leaderPlan } from '../../../core/kafka/leader-plan.ts';
import { noPlacements } from '../../../core/kafka/plan.ts';
import { type Plan, planCodec, type PlanSlot } from '../../../schemas/ownership.ts';
import { fleetRound, lead, sizesOf } from '../../support/plan-fleet.ts';
import { countsOf, holding, memberReport } from '../../support/plan-group.ts';

const slots = 8;
const knowledge: LeaderKnowledge = { slots, adopted: null, written: null, placements: noPlacements, nowMs: 5_000 };
const bytesOf = (instance: string, fields: Partial<DecodedReport> = {}, ofSlots = slots, format: 1 | 2 = 2): Buffer =>
  encodeHeldReport(memberReport(instance, fields).report, ofSlots, format);
/** `a` leads; the others are given by their bytes. */
const joined = (reports: Readonly<Record<string, Buffer>>): Joined => ({
  memberId: 'a-id',
  generation: 3,
  leader: true,
  members: Object.entries(reports).map(([instance, report]) => ({ memberId: `${instance}-id`, report })),
});
const planIn = (order: { readonly bytes: Buffer }): Plan => planCodec.decode(order.bytes);
function thrownBy(run: () => unknown): HoldfastError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof HoldfastError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

test('everybody gets the plan of the generation with its own slots, and the plan names its leader', () => {
  const { order, leftovers, refused } = leaderPlan(joined({ b: bytesOf('b'), a: bytesOf('a') }), knowledge);
  const plan = planIn(order);
  expect(plan).toMatchObject({ version: 5_000n, generation: 3, leader: 1 });
  expect([...order.owned.keys()]).toEqual(['b-id', 'a-id']);
  expect([...order.owned.values()].flat().sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  for (const slot of order.owned.get('b-id')!) expect(plan.slots[slot]?.owner).toBe(2);
  expect({ leftovers, refused }).toEqual({ leftovers: 0, refused: [] });
});

test('a member of format 1 is understood', () => {
  const reports = { a: bytesOf('a', {}, slots, 1), b: bytesOf('b', {}, slots, 1) };
  const { order, refused } = leaderPlan(joined(reports), knowledge);
  expect(refused).toEqual([]);
  expect(countsOf(planIn(order))).toEqual({ a: 4, b: 4 });
});

test('LP1: who is not understood is left out, gets no slots and is named; the others get their plan', () => {
  const newer = bytesOf('c');
  newer.writeUInt8(9, 0);
  const reports = { a: bytesOf('a'), b: bytesOf('b').subarray(0, 20), c: newer, d: Buffer.alloc(0), e: bytesOf('e') };
  const { order, refused } = leaderPlan(joined(reports), knowledge);
  expect(refused).toMatchObject([
    { memberId: 'b-id', error: { code: 'PLAN_INVALID' }, evict: false },
    { memberId: 'c-id', error: { code: 'PLAN_INVALID', facts: { version: 9 } }, evict: false },
    { memberId: 'd-id', error: { code: 'PLAN_INVALID' }, evict: false },
  ]);
  expect(planIn(order).members.map(({ instance }) => instance)).toEqual(['a', 'e']);
  expect([...order.owned].map(([id, owned]) => [id, owned.length])).toEqual([
    ['a-id', 4],
    ['b-id', 0],
    ['c-id', 0],
    ['d-id', 0],
    ['e-id', 4],
  ]);
});

test('LP1: a report so large that the group’s record may not fit is to be evicted', () => {
  const { refused } = leaderPlan(joined({ a: bytesOf('a'), b: Buffer.alloc(reportBytesMax + 1, 2) }), knowledge);
  expect(refused).toMatchObject([{ memberId: 'b-id', evict: true }]);
});

test('LP1: a version that no plan can have does not spoil the plan', () => {
  const reports = { a: bytesOf('a'), b: bytesOf('b', { adoptedVersion: (1n << 64n) - 1n }) };
  expect(planIn(leaderPlan(joined(reports), knowledge).order).version).toBe(5_000n);
});

test('LP1: whatever one member sends, the others get a valid plan', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (noise, isPrefixed) => {
      const b = isPrefixed ? Buffer.concat([bytesOf('b').subarray(0, 18), noise]) : Buffer.from(noise);
      const { order } = leaderPlan(joined({ a: bytesOf('a'), b, c: bytesOf('c') }), knowledge);
      decodePlan(order.bytes, slots, 'a-id');
      decodePlan(order.bytes, slots, 'c-id');
      expect(order.owned.has('b-id')).toBe(true);
    }),
  );
});

test('a leader that cannot read its own report says so', () => {
  expect(() => leaderPlan(joined({ a: Buffer.alloc(3), b: bytesOf('b') }), knowledge)).toThrow(/held report/);
});

test('LP2: of different numbers of slots the one of most members counts, and the others are told both numbers', () => {
  const reports = { a: bytesOf('a'), b: bytesOf('b', {}, 16), c: bytesOf('c') };
  const { order, refused } = leaderPlan(joined(reports), knowledge);
  expect(planIn(order).members.map(({ instance }) => instance)).toEqual(['a', 'c']);
  expect(refused).toMatchObject([{ memberId: 'b-id', evict: false }]);
  expect(refused[0]?.error.message).toMatch(/works with 8 slots, this process with 16: set HOLDFAST_SLOTS/);
});

test('LP2: a leader whose number of slots is not the group’s makes no plan', () => {
  const reports = { a: bytesOf('a'), b: bytesOf('b', {}, 16), c: bytesOf('c', {}, 16) };
  const error = thrownBy(() => leaderPlan(joined(reports), knowledge));
  expect(error).toMatchObject({ code: 'PLAN_INVALID', facts: { groupSlots: 16, ownSlots: 8 } });
  expect(error.message).toMatch(/works with 16 slots, this process with 8: set HOLDFAST_SLOTS/);
});

test('LP2: who holds something counts first, then the majority, then the lower number', () => {
  const refusedBy = (b: Buffer, more: Record<string, Buffer> = {}) =>
    leaderPlan(joined({ a: bytesOf('a'), b, ...more }), knowledge).refused.length;
  expect(refusedBy(bytesOf('b', {}, 16))).toBe(1);
  expect(() => refusedBy(bytesOf('b', {}, 4))).toThrow(/works with 4 slots/);
  expect(() => refusedBy(bytesOf('b', { held: holding([9]) }, 16))).toThrow(/works with 16 slots/);
  const two = { b: bytesOf('b', {}, 16), c: bytesOf('c', {}, 16) };
  expect(() => leaderPlan(joined({ a: bytesOf('a'), ...two }), knowledge)).toThrow(/works with 16 slots/);
  const holder = bytesOf('a', { held: holding([1]) });
  expect(leaderPlan(joined({ a: holder, ...two }), knowledge).refused).toHaveLength(2);
});

test('C13: the version is above every one in a report and the one in `ownership`', () => {
  const written: Plan = { version: 9_000n, generation: 1, members: [], slots: [], leader: 0 };
  const version = (adoptedVersion: bigint): bigint =>
    planIn(leaderPlan(joined({ a: bytesOf('a', { adoptedVersion }) }), { ...knowledge, written }).order).version;
  expect([version(0n), version(9_500n)]).toEqual([9_001n, 9_501n]);
});

const who = (instance: string) => ({ instance, incarnation: '1', memberId: `${instance}-id`, peer: '', zone: '' });
const slot = (fields: Partial<PlanSlot>): PlanSlot => ({
  owner: 1,
  standby: 2,
  prev: 0,
  prevEpoch: 0n,
  reason: 1,
  ...fields,
});
const plan = (slotFields: Partial<PlanSlot> = {}, fields: Partial<Plan> = {}): Plan => ({
  version: 1n,
  generation: 1,
  members: [who('a'), who('b')],
  slots: [slot(slotFields)],
  leader: 1,
  ...fields,
});

test('LP3: a plan is refused for another number of slots, members that do not exist, and an owner that stands by', () => {
  expect(() => checkPlan(plan(), 1, 'b-id')).not.toThrow();
  expect(() => checkPlan(plan({ owner: 0, standby: 0 }, { leader: 0 }), 1, 'b-id')).not.toThrow();
  const cases: readonly (readonly [Plan, number, RegExp])[] = [
    [plan(), 4, /works with 1 slots, this process with 4: set HOLDFAST_SLOTS/],
    [plan({ owner: 3 }), 1, /member 3 of 2.*instance a/],
    [plan({ standby: 3 }), 1, /member 3 of 2/],
    [plan({ prev: 7 }), 1, /member 7 of 2/],
    [plan({}, { leader: 3 }), 1, /leader 3 of 2/],
    [plan({ standby: 1 }), 1, /owner and standby/],
  ];
  for (const [refused, ofSlots, why] of cases) {
    const error = thrownBy(() => checkPlan(refused, ofSlots, 'b-id'));
    expect(error).toMatchObject({ code: 'PLAN_INVALID', message: expect.stringMatching(why) as unknown });
  }
});

test('LP3: a member that the plan leaves out learns who left it out', () => {
  expect(() => checkPlan(plan(), 1, 'c-id')).toThrow(/leader, instance a, left this process out/);
});

test('LP3: bytes that are no plan are refused, with the cause', () => {
  expect(decodePlan(planCodec.encode(plan()), 1, 'a-id')).toEqual(plan());
  const error = thrownBy(() => decodePlan(Buffer.from([0xff, 0xff]), 1, 'a-id'));
  expect(error).toMatchObject({ code: 'PLAN_INVALID', cause: expect.any(Error) as unknown });
  expect(thrownBy(() => decodePlan(Buffer.alloc(0), 1, 'a-id')).message).toMatch(/gave this process no plan/);
});

test('a round of 256 slots and 50 members fits the brokers’ limits and costs the leader few ms', () => {
  const round = fleetRound(256, 50, 1);
  const sizes = sizesOf(round);
  expect(sizes.reportBytesMax).toBeLessThan(512);
  expect(sizes.planBytes).toBeLessThan(12_288);
  expect(sizes.recordBytes).toBeLessThan(655_360); // of 1,048,576 that a broker takes
  for (let warming = 0; warming < 20; warming += 1) lead(round); // else the compiler's threads are counted as well
  const tookMs = Array.from({ length: 7 }, () => {
    const before = process.cpuUsage();
    lead(round);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  expect(tookMs.sort((a, b) => a - b)[3]).toBeLessThan(50);
});

test('a round of a large group is a valid plan: nobody who drains owns, the newcomer stands by', () => {
  const round = fleetRound(256, 50, 2);
  const { order, leftovers } = lead(round);
  const made = decodePlan(order.bytes, 256, round.joined.memberId);
  const newcomer = made.members.find(({ memberId }) => memberId === round.joined.members.at(-1)?.memberId)!.instance;
  expect(countsOf(made, 'standby')[newcomer]).toBeGreaterThan(0);
  expect(leftovers).toBeGreaterThan(0);
  expect(made.slots.filter(({ owner }) => owner === 0)).toEqual([]);
});
