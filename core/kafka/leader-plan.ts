import { type Plan, planCodec } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Joined, type SyncOrder } from './coordinator.ts';
import { decodeHeldReport } from './held-report.ts';
import { computePlan, nextPlanVersion, type Placements } from './plan.ts';

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

/** The leader's SyncGroup: the plan of this generation. Throws `PLAN_INVALID` when a report is not understood. */
export function leaderPlan(
  joined: Joined,
  { slots, adopted, written, placements, nowMs }: LeaderKnowledge,
): { readonly order: NonNullable<SyncOrder['plan']>; readonly leftovers: number } {
  const reports = joined.members.map(({ memberId, report }) => ({ memberId, report: decodeHeldReport(report) }));
  const previous = written !== null && written.version > (adopted?.version ?? -1n) ? written : adopted;
  const known = [...reports.map(({ report }) => report.adoptedVersion), previous?.version ?? 0n];
  const metadata = { slots, version: nextPlanVersion(known, nowMs), generation: joined.generation };
  const { plan, leftovers } = computePlan(reports, metadata, previous, placements);
  const owned = new Map<string, Slot[]>();
  for (const [index, { memberId }] of plan.members.entries()) {
    owned.set(
      memberId,
      [...plan.slots.keys()].filter((slot) => plan.slots[slot]?.owner === index + 1),
    );
  }
  return { order: { bytes: planCodec.encode(plan), owned }, leftovers };
}
