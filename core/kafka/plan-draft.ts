import { type OwnershipReason, type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type DecodedReport } from './held-report.ts';
import { slotWeights } from './slot-weights.ts';

/**
 * Slots on their way to a decision: what reports and the previous plan say of each. Members are indexes into the plan's
 * sorted directory; −1 is nobody.
 */
export interface PlanMember {
  readonly memberId: string;
  readonly report: DecodedReport;
  /** 0: it is draining, or an operator empties it, and it may own nothing. */
  readonly capacity: number;
}

export interface SlotDraft {
  readonly slot: Slot;
  readonly weight: number;
  /** Who reported the slot with the highest epoch. */
  readonly holder: number;
  readonly holderEpoch: bigint;
  /** The holder is letting it go already. */
  readonly releasing: boolean;
  readonly previousOwner: number;
  readonly previousStandby: number;
  /** Index in `ownershipReasons`. */
  readonly previousReason: number;
  /** −1: not decided, or nobody may have it. */
  owner: number;
  standby: number;
  reason: OwnershipReason;
  /** An operator's wish decided: balance leaves it alone. */
  placed: boolean;
  /** Nobody had it, and its owner got it in this round: for balance it moves in a later one. */
  given: boolean;
  /** Who takes the slot for balance in a later round, and stands by until then. */
  receiver: number;
}

interface Holding {
  holder: number;
  epoch: bigint;
  releasing: boolean;
}

export function draftSlots(slots: number, members: readonly PlanMember[], previous: Plan | null): SlotDraft[] {
  const holdings = holdingsOf(slots, members);
  const weights = slotWeights(holdings.map(({ holder }) => members[holder]?.report));
  const indexOf = previousIndexes(members, previous);
  return holdings.map(({ holder, epoch, releasing }, slot) => {
    const before = previous?.slots[slot];
    return {
      slot,
      weight: weights[slot] ?? 1,
      holder,
      holderEpoch: epoch,
      releasing,
      previousOwner: indexOf[before?.owner ?? 0] ?? -1,
      previousStandby: indexOf[before?.standby ?? 0] ?? -1,
      previousReason: before?.reason ?? 0,
      owner: -1,
      standby: -1,
      reason: before === undefined || before.owner === 0 ? 'start' : 'crash',
      placed: false,
      given: false,
      receiver: -1,
    };
  });
}

/** Whether the member can take the slot without a gap: it says so, or cannot say it, or was about to take the slot. */
export function isWarm({ report }: PlanMember, index: number, draft: SlotDraft): boolean {
  return report.format === 1 || report.warm.has(draft.slot) || index === draft.previousOwner;
}

/** Of two reports of a slot the higher epoch counts (P4); of equal ones the first, so that the order is not chance. */
function holdingsOf(slots: number, members: readonly PlanMember[]): Holding[] {
  const holdings = Array.from({ length: slots }, (): Holding => ({ holder: -1, epoch: -1n, releasing: false }));
  for (const [index, { report }] of members.entries()) {
    for (const releasing of [false, true]) {
      for (const [slot, epoch] of releasing ? report.releasing : report.held) {
        const holding = holdings[slot];
        if (holding === undefined || epoch <= holding.epoch) continue;
        Object.assign(holding, { holder: index, epoch, releasing });
      }
    }
  }
  return holdings;
}

/** By number in the previous plan, the present index of the same process, whatever its member id is now. */
function previousIndexes(members: readonly PlanMember[], previous: Plan | null): number[] {
  const runs = new Map<string, number>();
  for (const [index, { report }] of members.entries()) {
    const run = JSON.stringify([report.instance, report.incarnation]);
    if (!runs.has(run)) runs.set(run, index);
  }
  const known = previous?.members ?? [];
  return [-1, ...known.map(({ instance, incarnation }) => runs.get(JSON.stringify([instance, incarnation])) ?? -1)];
}
