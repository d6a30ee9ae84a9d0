import { type OwnershipReason, ownershipReasons, type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type DecodedReport } from './held-report.ts';
import { balanceOwners, giveFree } from './plan-balance.ts';
import { draftSlots, type PlanMember, type SlotDraft } from './plan-draft.ts';
import { PlanLoads } from './plan-loads.ts';
import { chooseStandbys } from './plan-standby.ts';

/**
 * The plan: who owns each slot, who stands by, and who must let go first. Computed by the group leader from nothing but
 * its arguments, so that any member may become leader.
 *
 *   plan-draft: what is known of each slot → here: who keeps his → plan-balance: free slots, then moves → plan-standby
 *
 * P1. Deterministic: the same input gives the same plan, whatever the order of the reports (O10).
 * P2. One owner per slot, never its own standby; never a draining member, and never one that is unable, while another
 *     exists.
 *     Wishes to empty everybody are not followed: a slot must not go dark because of a wish.
 * P3. Sticky: who holds a slot keeps it, unless it drains, is unable, was asked to give it, or balance needs the move; at most
 *     max(4, P/8) slots move for balance in one round, to warm members only. Slots of members that are gone or go move at once.
 * P4. `prev` is the member of this generation that reports the slot and is not its owner; of two reports the higher
 *     epoch counts, and the other member lets go because it is neither owner nor prev.
 * P5. A wish counts while its instance has a process that may own the slot. Of two processes with the instance's name it
 *     means the one that has the slot, else the one with the higher member id.
 */
export interface MemberReport {
  readonly memberId: string;
  readonly report: DecodedReport;
}

/** Wishes of operators, from `drain/INSTANCE` and `place/N`. */
export interface Placements {
  /** By instance, the incarnation that is to be emptied; '': every one. */
  readonly drained: ReadonlyMap<string, string>;
  /** By slot, the instance that is to have it. */
  readonly placed: ReadonlyMap<Slot, string>;
}

export const noPlacements: Placements = { drained: new Map(), placed: new Map() };

export interface PlanMetadata {
  readonly slots: number;
  readonly version: bigint;
  readonly generation: number;
  /** Member id of who makes the plan. */
  readonly leader: string;
}

export interface PlanDecision {
  readonly plan: Plan;
  /** Moves that wait for a following round: beyond the limit of one, or until the receiver is warm or the slot has arrived. */
  readonly leftovers: number;
}

export function computePlan(
  reports: readonly MemberReport[],
  metadata: PlanMetadata,
  previous: Plan | null,
  placements: Placements,
): PlanDecision {
  const someStay = reports.some(({ report }) => !report.draining && !isDrained(report, placements));
  const members = reports.toSorted(byInstance).map(({ memberId, report }): PlanMember => {
    const isDraining = report.draining || (someStay && isDrained(report, placements)); // P2
    return { memberId, report, capacity: isDraining ? 0 : Math.max(1, report.capacity) };
  }); // P1
  const drafts = draftSlots(metadata.slots, members, previous);
  for (const draft of drafts) keepOwner(draft, members, placements.placed.get(draft.slot));
  const loads = new PlanLoads(drafts, members);
  giveFree(drafts, members, loads);
  const leftovers = balanceOwners(drafts, members, loads, Math.max(4, Math.floor(metadata.slots / 8)));
  chooseStandbys(drafts, members);
  return { plan: planOf(drafts, members, metadata), leftovers };
}

/**
 * The version of the next plan: above every one that any member or the topic knows; unix ms is only a floor for a group
 * that forgot.
 */
export function nextPlanVersion(known: readonly bigint[], nowMs: number): bigint {
  return known.reduce((highest, version) => (version >= highest ? version + 1n : highest), BigInt(Math.trunc(nowMs)));
}

/** The name of a plan's reason number; numbers of other versions count as `start`. */
export function reasonOf(index: number): OwnershipReason {
  const reason = ownershipReasons[index];
  return reason === undefined || reason === '' ? 'start' : reason;
}

function isDrained({ instance, incarnation }: DecodedReport, { drained }: Placements): boolean {
  const meant = drained.get(instance);
  return meant === '' || meant === incarnation;
}

function byInstance(a: MemberReport, b: MemberReport): number {
  return compareText(a.report.instance, b.report.instance) || compareText(a.memberId, b.memberId);
}

/** By code unit: the same on every machine, unlike a locale's order. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Who goes on owning the slot, before balance: an operator's choice, its holder, or who was about to take it (P3). */
function keepOwner(draft: SlotDraft, members: readonly PlanMember[], wished: string | undefined): void {
  const may = (index: number): boolean => (members[index]?.capacity ?? 0) > 0;
  const able = (index: number): boolean => may(index) && members[index]?.report.unable.has(draft.slot) === false;
  const kept = draft.holder >= 0 && !draft.releasing ? draft.holder : draft.previousOwner;
  const placed = wished === undefined ? -1 : placedAt(wished, members, able, kept);
  if (placed >= 0) {
    draft.owner = placed;
    draft.placed = true;
    draft.reason = placed === draft.previousOwner ? reasonOf(draft.previousReason) : 'move';
    return;
  }
  if (kept < 0) return;
  const nobodyIsAble = (): boolean => !members.some((_, index) => able(index));
  if (able(kept) || (may(kept) && nobodyIsAble())) {
    draft.owner = kept;
    if (kept === draft.previousOwner) draft.reason = reasonOf(draft.previousReason);
    return;
  }
  draft.reason = may(kept) ? 'move' : 'drain';
}

/** P5. */
function placedAt(
  wished: string,
  members: readonly PlanMember[],
  able: (index: number) => boolean,
  kept: number,
): number {
  const isMeant = ({ report }: PlanMember, index: number): boolean => report.instance === wished && able(index);
  const keeper = members[kept];
  if (keeper !== undefined && isMeant(keeper, kept)) return kept;
  return members.findLastIndex(isMeant);
}

function planOf(drafts: readonly SlotDraft[], members: readonly PlanMember[], metadata: PlanMetadata): Plan {
  return {
    version: metadata.version,
    generation: metadata.generation,
    leader: members.findIndex(({ memberId }) => memberId === metadata.leader) + 1,
    members: members.map(({ memberId, report }) => ({
      instance: report.instance,
      incarnation: report.incarnation,
      memberId,
      peer: report.peer,
      zone: report.zone,
    })),
    slots: drafts.map((draft) => {
      const moving = draft.holder >= 0 && draft.holder !== draft.owner;
      return {
        owner: draft.owner + 1,
        standby: draft.standby + 1,
        prev: moving ? draft.holder + 1 : 0,
        prevEpoch: moving ? draft.holderEpoch : 0n,
        reason: ownershipReasons.indexOf(draft.reason),
      };
    }),
  };
}
