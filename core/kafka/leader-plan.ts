import { ownershipNumberMax, type Plan, planCodec } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Joined, type SyncOrder } from './coordinator.ts';
import { decodeHeldReport, reportBytesMax } from './held-report.ts';
import { computePlan, type MemberReport, nextPlanVersion, type Placements } from './plan.ts';

/**
 * Between the bytes of Join and Sync and the plan: what the leader makes of everybody's reports, and what a member checks
 * before it believes a plan.
 *
 * LP1. One bad member does not stop the group: whose report is not understood, or is for another number of slots, is left
 *      out of the plan and named in `refused`. It still gets the plan's bytes, with no slots, so that it can say why.
 * LP2. The number of slots is the one of more members that hold something, then of more members, then the lower one; a
 *      leader with another number steps down, so that newcomers with a wrong setting cannot outvote who does the work.
 * LP3. A member adopts only a plan for its number of slots, whose numbers of members exist, and that has it as a member.
 */

/** What the leader knows beside the reports. */
export interface LeaderKnowledge {
  readonly slots: number;
  /** The plan it adopted last, and the one that `ownership` has. */
  readonly adopted: Plan | null;
  readonly written: Plan | null;
  readonly placements: Placements;
  /** Wall clock: a floor of the version, nothing else. */
  readonly nowMs: number;
}

export interface RefusedMember {
  readonly memberId: string;
  readonly error: HoldfastError;
  /** Its report is so large that the group's own record may not fit the brokers' limit: it should be made to leave. */
  readonly evict: boolean;
}

export interface LeaderPlan {
  readonly order: NonNullable<SyncOrder['plan']>;
  readonly leftovers: number;
  readonly refused: readonly RefusedMember[];
}

/**
 * The leader's SyncGroup: the plan of this generation. Throws `PLAN_INVALID` when the group works with another number of
 * slots than this process, or when this process's own report is not understood.
 */
export function leaderPlan(joined: Joined, knowledge: LeaderKnowledge): LeaderPlan {
  const { slots, adopted, written, placements, nowMs } = knowledge;
  const { understood, refused } = readReports(joined);
  const groupSlots = slotsOf(understood);
  if (groupSlots !== slots) throw wrongSlots(groupSlots, slots); // LP2
  const reports = understood.filter(({ report }) => report.slots === slots);
  for (const { memberId, report } of understood) {
    if (report.slots !== slots) refused.push({ memberId, error: wrongSlots(slots, report.slots), evict: false });
  }
  const previous = [adopted, written]
    .filter((plan) => plan !== null && plan.version <= ownershipNumberMax)
    .reduce((best, plan) => ((plan?.version ?? -1n) > (best?.version ?? -1n) ? plan : best), null);
  const reported = reports
    .map(({ report }) => report.adoptedVersion)
    .filter((version) => version <= ownershipNumberMax);
  const { plan, leftovers } = computePlan(
    reports,
    {
      slots,
      version: nextPlanVersion([...reported, previous?.version ?? 0n], nowMs),
      generation: joined.generation,
      leader: joined.memberId,
    },
    previous,
    placements,
  );
  return { order: { bytes: planCodec.encode(plan), owned: ownedOf(joined, plan) }, leftovers, refused };
}

/** What a member got from its SyncGroup, checked (LP3). Throws `PLAN_INVALID`. */
export function decodePlan(bytes: Buffer, slots: number, memberId: string): Plan {
  if (bytes.length === 0) {
    throw invalidPlan('the leader of the group gave this process no plan: stop other programs in this group');
  }
  let plan: Plan;
  try {
    plan = planCodec.decode(bytes);
  } catch (cause) {
    const message = `the group's plan cannot be read (${messageOf(cause)}): stop the programs of other versions in this group`;
    throw invalidPlan(message, cause);
  }
  checkPlan(plan, slots, memberId);
  return plan;
}

/** LP3. Throws `PLAN_INVALID`. */
export function checkPlan(plan: Plan, slots: number, memberId: string): void {
  if (plan.slots.length !== slots) throw leftOut(wrongSlots(plan.slots.length, slots));
  const count = plan.members.length;
  const leader = plan.members[plan.leader - 1]?.instance ?? 'unknown';
  const wrong = (what: string): HoldfastError =>
    invalidPlan(`the group's plan is contradictory (${what}): stop or update its leader, instance ${leader}`);
  if (plan.version > ownershipNumberMax) throw wrong(`version ${plan.version}`);
  if (plan.leader > count) throw wrong(`leader ${plan.leader} of ${count} members`);
  for (const [slot, { owner, standby, prev }] of plan.slots.entries()) {
    const highest = Math.max(owner, standby, prev);
    if (highest > count) throw wrong(`slot ${slot} names member ${highest} of ${count}`);
    if (owner === standby && owner !== 0) throw wrong(`slot ${slot} has member ${owner} as owner and standby`);
  }
  if (!plan.members.some((member) => member.memberId === memberId)) {
    const message = `the group's leader, instance ${leader}, left this process out of its plan: run the same version in both`;
    throw leftOut(invalidPlan(message));
  }
}

/** The plan can be read, and others act on it as if we held nothing. */
export function isLeftOut(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && thrown.facts['leftOut'] === true;
}

function leftOut(error: HoldfastError): HoldfastError {
  return new HoldfastError('PLAN_INVALID', error.message, { facts: { ...error.facts, leftOut: true } });
}

function readReports(joined: Joined): { understood: MemberReport[]; refused: RefusedMember[] } {
  const understood: MemberReport[] = [];
  const refused: RefusedMember[] = [];
  for (const { memberId, report } of joined.members) {
    try {
      understood.push({ memberId, report: decodeHeldReport(report) });
    } catch (thrown) {
      const isOurs = memberId === joined.memberId; // what we wrote ourselves we must be able to read
      if (isOurs || !(thrown instanceof HoldfastError)) throw thrown;
      refused.push({ memberId, error: thrown, evict: report.length > reportBytesMax }); // LP1
    }
  }
  return { understood, refused };
}

/** LP2. */
function slotsOf(understood: readonly MemberReport[]): number {
  const votes = new Map<number, { members: number; engaged: number }>();
  for (const { report } of understood) {
    const vote = votes.get(report.slots) ?? { members: 0, engaged: 0 };
    vote.members += 1;
    if (report.held.size > 0 || report.releasing.size > 0) vote.engaged += 1;
    votes.set(report.slots, vote);
  }
  const ranked = [...votes].sort(
    ([slotsA, a], [slotsB, b]) => b.engaged - a.engaged || b.members - a.members || slotsA - slotsB,
  );
  return ranked[0]?.[0] ?? 0;
}

/** An entry for everybody who joined: members without one would be answered with no bytes at all (LP1). */
function ownedOf(joined: Joined, plan: Plan): Map<string, Slot[]> {
  const owned = new Map(joined.members.map(({ memberId }): [string, Slot[]] => [memberId, []]));
  for (const [slot, { owner }] of plan.slots.entries()) {
    const member = plan.members[owner - 1];
    if (member !== undefined) owned.get(member.memberId)?.push(slot);
  }
  return owned;
}

function wrongSlots(group: number, own: number): HoldfastError {
  const message =
    `the group works with ${group} slots, this process with ${own}: set HOLDFAST_SLOTS to ${group} here, ` +
    `or to ${own} in every other process of the group`;
  return new HoldfastError('PLAN_INVALID', message, { facts: { groupSlots: group, ownSlots: own } });
}

function invalidPlan(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PLAN_INVALID', message, cause === undefined ? {} : { cause });
}
