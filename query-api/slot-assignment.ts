/**
 * Which query-api instances hold which slots. Pure: every instance computes the same from the same table of instances,
 * and nobody has to agree on anything. Who really holds what is only what each one reports.
 *
 * SA1. Every slot has `replicas` different holders, or all members where there are fewer.
 * SA2. No member holds more than its fair share and a quarter; so a member that comes or goes can move slots beyond its
 *      own, but few.
 * SA3. A slot's holders stand in as many zones as can be, as far as SA2 lets them.
 */
import { type Slot } from '../schemas/slot.ts';
import { hashText, scoreOf } from './hash-score.ts';

export interface AssignmentMember {
  readonly instance: string;
  /** Empty: none. */
  readonly zone: string;
}

/** Room above the fair share. Less moves more slots at every change, more lets one instance carry the others' load. */
const slackFactor = 1.25;

/** The holders of each slot, the n-th entry for slot n; each the instances by falling score. */
export function assignSlots(
  members: readonly AssignmentMember[],
  options: { readonly slots: number; readonly replicas: number },
): readonly (readonly string[])[] {
  const { slots } = options;
  const sorted = [...members].sort((a, b) => (a.instance < b.instance ? -1 : 1)); // equal scores: by name, everywhere
  const replicas = Math.min(options.replicas, sorted.length);
  if (replicas === sorted.length) return Array.from({ length: slots }, () => sorted.map(({ instance }) => instance));
  const bound = slotsHeldMax({ slots, replicas, members: sorted.length });
  const rows = sorted.map((member) => ({ ...member, hash: hashText(member.instance), room: bound }));
  const zones = new Set(sorted.map(({ zone }) => zone)).size;
  const perZone = Math.ceil(replicas / zones);
  return Array.from({ length: slots }, (_, slot) => {
    const chosen = chooseHolders(byScore(rows, slot), { replicas, perZone, slotsLeft: slots - slot });
    for (const row of chosen) row.room -= 1;
    return chosen.map(({ instance }) => instance);
  });
}

/** Most slots that one of `members` is assigned (SA2). */
export function slotsHeldMax(of: {
  readonly slots: number;
  readonly replicas: number;
  readonly members: number;
}): number {
  const fair = Math.ceil((of.slots * of.replicas) / of.members);
  return Math.min(of.slots, Math.ceil(fair * slackFactor));
}

interface Row extends AssignmentMember {
  readonly hash: number;
  /** How many more slots it may get. */
  room: number;
}

function byScore(rows: readonly Row[], slot: Slot): Row[] {
  const slotHash = hashText(`slot/${slot}`);
  return rows
    .map((row) => ({ row, score: scoreOf(slotHash, row.hash) }))
    .sort((a, b) => b.score - a.score)
    .map(({ row }) => row);
}

/**
 * Takes the first in order, first with at most `perZone` of a zone (SA3), then whoever is left. A member whose room is
 * less than the slots still to come may be taken only so often that the rest can still be given `replicas` holders each
 * within everybody's room; others lose nothing by being taken.
 */
function chooseHolders(
  ordered: readonly Row[],
  bounds: { readonly replicas: number; readonly perZone: number; readonly slotsLeft: number },
): Row[] {
  const { replicas, perZone, slotsLeft } = bounds;
  const isScarce = (row: Row): boolean => row.room < slotsLeft;
  // Afterwards the sum of min(room, slots left) must be at least replicas × slots left: enough, as slots are all alike.
  const sum = ordered.reduce((total, row) => total + Math.min(row.room, slotsLeft - 1), 0);
  let scarceLeft = sum - replicas * (slotsLeft - 1);
  const chosen: Row[] = [];
  const inZone = new Map<string, number>();
  for (const zoneMax of [perZone, replicas]) {
    for (const row of ordered) {
      const used = inZone.get(row.zone) ?? 0;
      if (chosen.length === replicas || row.room === 0 || used >= zoneMax || chosen.includes(row)) continue;
      if (isScarce(row)) {
        if (scarceLeft === 0) continue;
        scarceLeft -= 1;
      }
      chosen.push(row);
      inZone.set(row.zone, used + 1);
    }
  }
  return chosen;
}
