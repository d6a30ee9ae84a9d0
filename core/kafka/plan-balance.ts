import { loadsOf, type MemberReport, type SlotDraft } from './plan.ts';

/**
 * The arithmetic of the plan: how many slots each member should own, which slots move there, and who stands by. Pure;
 * members are indexes into the plan's sorted directory, a capacity of 0 means that a member may own nothing.
 */

/** Slots per member in proportion to capacity; what does not divide goes to who has most already, so that nothing moves for it. */
export function quotasOf(slots: number, capacities: readonly number[], loads: readonly number[]): number[] {
  const total = capacities.reduce((sum, capacity) => sum + capacity, 0);
  if (total === 0) return capacities.map(() => 0);
  const quotas = capacities.map((capacity) => Math.floor((slots * capacity) / total));
  const left = slots - quotas.reduce((sum, quota) => sum + quota, 0);
  const order = capacities
    .map((capacity, index) => ({
      index,
      fraction: (slots * capacity) % total,
      above: (loads[index] ?? 0) - (quotas[index] ?? 0),
    }))
    .filter(({ index }) => (capacities[index] ?? 0) > 0)
    .sort(
      (a, b) =>
        Number(b.above > 0) - Number(a.above > 0) || b.fraction - a.fraction || b.above - a.above || a.index - b.index,
    );
  for (const { index } of order.slice(0, left)) quotas[index] = (quotas[index] ?? 0) + 1;
  return quotas;
}

/** Gives every free slot an owner, then moves at most `movesMax` from members above their quota. Returns the moves left over. */
export function balanceOwners(
  drafts: readonly SlotDraft[],
  members: readonly MemberReport[],
  capacities: readonly number[],
  quotas: readonly number[],
  movesMax: number,
): number {
  const loads = loadsOf(drafts, members.length);
  for (const draft of drafts) if (draft.owner < 0) giveFree(draft, members, capacities, quotas, loads);
  let moves = 0;
  let leftovers = 0;
  for (const [from, quota] of quotas.entries()) {
    for (const draft of drafts) {
      if ((loads[from] ?? 0) <= quota) break;
      if (draft.owner !== from || draft.placed) continue;
      if (draft.holder >= 0 && (draft.holder !== from || draft.releasing)) continue; // on its way already
      const target = moveTarget(draft, members, capacities, quotas, loads);
      if (target < 0) continue;
      if (moves === movesMax) {
        leftovers += 1;
        break;
      }
      moves += 1;
      loads[from] = (loads[from] ?? 0) - 1;
      loads[target] = (loads[target] ?? 0) + 1;
      draft.owner = target;
      draft.reason = 'balance';
    }
  }
  return leftovers;
}

/** Preference for a slot that nobody holds: able, warm or standing by and below quota, then the emptiest. */
function giveFree(
  draft: SlotDraft,
  members: readonly MemberReport[],
  capacities: readonly number[],
  quotas: readonly number[],
  loads: number[],
): void {
  let best = -1;
  let bestRank: readonly number[] = [];
  for (const [index, { report }] of members.entries()) {
    const capacity = capacities[index] ?? 0;
    if (capacity === 0) continue;
    const load = loads[index] ?? 0;
    const below = load < (quotas[index] ?? 0);
    const ready = report.warm.has(draft.slot) || index === draft.previousStandby;
    const rank = [report.unable.has(draft.slot) ? 1 : 0, below ? 0 : 1, ready ? 0 : 1, (load + 1) / capacity];
    if (best < 0 || isLower(rank, bestRank)) [best, bestRank] = [index, rank];
  }
  if (best < 0) return; // everybody is draining
  draft.owner = best;
  loads[best] = (loads[best] ?? 0) + 1;
}

/** Who may take this slot for balance: a member below its quota; a warm one where some member is warm for the slot. */
function moveTarget(
  draft: SlotDraft,
  members: readonly MemberReport[],
  capacities: readonly number[],
  quotas: readonly number[],
  loads: readonly number[],
): number {
  const warmExists = members.some(({ report }, index) => index !== draft.owner && report.warm.has(draft.slot));
  let best = -1;
  let bestRank: readonly number[] = [];
  for (const [index, { report }] of members.entries()) {
    const missing = (quotas[index] ?? 0) - (loads[index] ?? 0);
    if (missing <= 0 || (capacities[index] ?? 0) === 0 || index === draft.owner) continue;
    if (report.unable.has(draft.slot) || (warmExists && !report.warm.has(draft.slot))) continue;
    const rank = [index === draft.previousStandby ? 0 : 1, -missing];
    if (best < 0 || isLower(rank, bestRank)) [best, bestRank] = [index, rank];
  }
  return best;
}

/** One standby per slot where there are two members: another zone than the owner's first, evenly, and sticky. */
export function chooseStandbys(
  drafts: readonly SlotDraft[],
  members: readonly MemberReport[],
  capacities: readonly number[],
): void {
  const counts = new Array<number>(members.length).fill(0);
  const candidates = capacities.filter((capacity) => capacity > 0).length;
  const share = Math.ceil(drafts.length / Math.max(1, candidates));
  for (const draft of drafts) {
    const zoneOf = (index: number): string => members[index]?.report.zone ?? '';
    let best = -1;
    let bestRank: readonly number[] = [];
    for (const [index, { report }] of members.entries()) {
      if (index === draft.owner || (capacities[index] ?? 0) === 0) continue;
      const count = counts[index] ?? 0;
      const otherZone = draft.owner >= 0 && zoneOf(index) !== zoneOf(draft.owner);
      const sticky = index === draft.previousStandby && count < share;
      const rank = [report.unable.has(draft.slot) ? 1 : 0, otherZone ? 0 : 1, sticky ? 0 : 1, count];
      if (best < 0 || isLower(rank, bestRank)) [best, bestRank] = [index, rank];
    }
    draft.standby = best;
    if (best >= 0) counts[best] = (counts[best] ?? 0) + 1;
  }
}

function isLower(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}
