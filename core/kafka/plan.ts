import { type OwnershipReason, ownershipReasons, type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { balanceOwners, chooseStandbys, quotasOf } from './plan-balance.ts';
import { type HeldReport } from './held-report.ts';

/**
 * The plan: who owns each slot, who stands by, and who must let go first. Computed by the group leader from nothing but
 * its arguments, so that any member may become leader.
 *
 * P1. Deterministic: the same input gives the same plan, whatever the order of the reports (O10).
 * P2. One owner per slot, never its own standby; never a draining member, and never one that is unable, while another
 *     exists.
 * P3. Sticky: who holds a slot keeps it, unless it drains, is unable, was asked to give it, or balance needs the move; at most
 *     max(4, P/8) slots move for balance in one round, to warm members where there are any.
 * P4. `prev` is the member of this generation that reports the slot and is not its owner; of two reports the higher
 *     epoch counts, and the other member lets go because it is neither owner nor prev.
 */
export interface MemberReport {
  readonly memberId: string;
  readonly report: HeldReport;
}

/** Wishes of operators, from `drain/INSTANCE` and `place/N`. */
export interface Placements {
  readonly drained: ReadonlySet<string>;
  readonly placed: ReadonlyMap<Slot, string>;
}

export const noPlacements: Placements = { drained: new Set(), placed: new Map() };

export interface PlanMetadata {
  readonly slots: number;
  readonly version: bigint;
  readonly generation: number;
}

export interface PlanDecision {
  readonly plan: Plan;
  /** Moves that wait for a following round. */
  readonly leftovers: number;
}

/** A slot on its way to a decision; members are indexes into the sorted directory. */
export interface SlotDraft {
  readonly slot: Slot;
  /** Who reported the slot with the highest epoch; −1: nobody. */
  readonly holder: number;
  readonly holderEpoch: bigint;
  /** The holder is letting it go already. */
  readonly releasing: boolean;
  readonly previousOwner: number;
  readonly previousStandby: number;
  readonly previousReason: OwnershipReason;
  /** −1: not decided, or nobody may have it. */
  owner: number;
  standby: number;
  reason: OwnershipReason;
  /** An operator's wish decided: balance leaves it alone. */
  placed: boolean;
}

export function computePlan(
  reports: readonly MemberReport[],
  metadata: PlanMetadata,
  previous: Plan | null,
  placements: Placements,
): PlanDecision {
  const members = reports.toSorted(byInstance); // P1
  const eligible = members.map(({ report }) => !report.draining && !placements.drained.has(report.instance));
  const drafts = Array.from({ length: metadata.slots }, (_, slot) => draftOf(slot, members, previous));
  for (const draft of drafts) keepOwner(draft, members, eligible, placements);
  const capacities = members.map(({ report }, index) => (eligible[index] === true ? Math.max(1, report.capacity) : 0));
  const quotas = quotasOf(metadata.slots, capacities, loadsOf(drafts, members.length));
  const movesMax = Math.max(4, Math.floor(metadata.slots / 8));
  const leftovers = balanceOwners(drafts, members, capacities, quotas, movesMax);
  chooseStandbys(drafts, members, capacities);
  return { plan: planOf(drafts, members, metadata), leftovers };
}

/**
 * The version of the next plan: above every one that any member or the topic knows; unix ms is only a floor for a group
 * that forgot.
 */
export function nextPlanVersion(known: readonly bigint[], nowMs: number): bigint {
  return known.reduce((highest, version) => (version >= highest ? version + 1n : highest), BigInt(Math.trunc(nowMs)));
}

export function loadsOf(drafts: readonly SlotDraft[], members: number): number[] {
  const loads = new Array<number>(members).fill(0);
  for (const { owner } of drafts) if (owner >= 0) loads[owner] = (loads[owner] ?? 0) + 1;
  return loads;
}

function byInstance(a: MemberReport, b: MemberReport): number {
  return compareText(a.report.instance, b.report.instance) || compareText(a.memberId, b.memberId);
}

/** By code unit: the same on every machine, unlike a locale's order. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function draftOf(slot: Slot, members: readonly MemberReport[], previous: Plan | null): SlotDraft {
  let holder = -1;
  let holderEpoch = -1n;
  let releasing = false;
  for (const [index, { report }] of members.entries()) {
    const heldEpoch = report.held.get(slot);
    const epoch = heldEpoch ?? report.releasing.get(slot);
    if (epoch === undefined || epoch <= holderEpoch) continue; // P4
    [holder, holderEpoch, releasing] = [index, epoch, heldEpoch === undefined];
  }
  const before = previous?.slots[slot];
  const find = (oneBased: number): number => indexOfMember(members, previous, oneBased);
  return {
    slot,
    holder,
    holderEpoch,
    releasing,
    previousOwner: before === undefined ? -1 : find(before.owner),
    previousStandby: before === undefined ? -1 : find(before.standby),
    previousReason: reasonOf(before?.reason ?? 0),
    owner: -1,
    standby: -1,
    reason: before === undefined || before.owner === 0 ? 'start' : 'crash',
    placed: false,
  };
}

/** The name of a plan's reason number; numbers of other versions count as `start`. */
export function reasonOf(index: number): OwnershipReason {
  const reason = ownershipReasons[index];
  return reason === undefined || reason === '' ? 'start' : reason;
}

/** The present index of a member of the previous plan: the same process, whatever its member id is now. */
function indexOfMember(members: readonly MemberReport[], previous: Plan | null, oneBased: number): number {
  const member = previous?.members[oneBased - 1];
  if (member === undefined) return -1;
  return members.findIndex(
    ({ report }) => report.instance === member.instance && report.incarnation === member.incarnation,
  );
}

/** Who goes on owning the slot, before balance: an operator's choice, its holder, or who was about to take it (P3). */
function keepOwner(
  draft: SlotDraft,
  members: readonly MemberReport[],
  eligible: readonly boolean[],
  placements: Placements,
): void {
  const { slot } = draft;
  const able = (index: number): boolean =>
    eligible[index] === true && members[index]?.report.unable.has(slot) === false;
  const wished = placements.placed.get(slot);
  const placed =
    wished === undefined ? -1 : members.findIndex(({ report }, index) => report.instance === wished && able(index));
  if (placed >= 0) {
    draft.owner = placed;
    draft.placed = true;
    draft.reason = placed === draft.previousOwner ? draft.previousReason : 'move';
    return;
  }
  const kept = draft.holder >= 0 && !draft.releasing ? draft.holder : draft.previousOwner;
  if (kept >= 0 && able(kept)) {
    draft.owner = kept;
    if (kept === draft.previousOwner) draft.reason = draft.previousReason;
  } else if (kept >= 0) {
    draft.reason = eligible[kept] === true ? 'move' : 'drain';
  }
}

function planOf(drafts: readonly SlotDraft[], members: readonly MemberReport[], metadata: PlanMetadata): Plan {
  return {
    version: metadata.version,
    generation: metadata.generation,
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
