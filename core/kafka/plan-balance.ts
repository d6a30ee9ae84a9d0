import { isWarm, type PlanMember, type SlotDraft } from './plan-draft.ts';
import { type PlanLoads } from './plan-loads.ts';
import { isLower } from './plan-rank.ts';

/**
 * The arithmetic of the plan: who gets a slot that nobody has, and which slots move so that loads are alike. Pure, and
 * greedy: from the member that carries most to the one that carries least, until no move is worth its gap.
 *
 * PB1. A move improves its pair: the receiver carries less afterwards than the donor did before; where slots differ in
 *      weight, less by a fifth of the mean load. So every step lowers the highest load it touches, and rounds come to rest.
 * PB2. A held slot moves only to a member that is warm for it. Where the member that should have it is not, the owner
 *      stays, that member stands by (which warms it), and the move is left over for a later round.
 * PB3. At most `movesMax` slots move, and at most as many wait for a cold receiver, in one round. A slot that nobody holds,
 *      and that its owner is not warm for either, is dark whoever gets it: it goes at once and counts as neither.
 *      A slot on its way from one member to another goes there first: what is to become of it then is left over too.
 * PB4. Slots that an operator placed are moved only when nothing else of the donor's can be.
 */

/** Ready members are preferred for a free slot up to this multiple of the mean load. */
const readyLoadMax = 1.25;
/** The part of the mean load that a move must gain where weights differ. */
const gainMin = 0.2;

/** How ready a member is for a slot; lower is better. */
const warmStandby = 0;
const warm = 1;
const standby = 2;
const cold = 3;

/** Gives every free slot an owner: heavy ones first, because light ones fill the gaps. */
export function giveFree(drafts: readonly SlotDraft[], members: readonly PlanMember[], loads: PlanLoads): void {
  const free = drafts.filter(({ owner }) => owner < 0).sort((a, b) => b.weight - a.weight || a.slot - b.slot);
  for (const draft of free) {
    let best = -1;
    let bestRank: readonly number[] = [];
    for (const [index, member] of members.entries()) {
      if (member.capacity === 0) continue;
      const after = loads.after(index, draft.weight);
      const readiness = readinessOf(draft, member, index);
      const unable = Number(member.report.unable.has(draft.slot));
      const rank = [unable, after <= loads.mean * readyLoadMax ? readiness : cold, after, readiness, index];
      if (best < 0 || isLower(rank, bestRank)) [best, bestRank] = [index, rank];
    }
    if (best < 0) return; // everybody is draining
    draft.owner = best;
    draft.given = true;
    loads.add(best, draft.weight);
  }
}

function readinessOf(draft: SlotDraft, member: PlanMember, index: number): number {
  const standsBy = index === draft.previousStandby;
  if (isWarm(member, index, draft)) return standsBy ? warmStandby : warm;
  return standsBy ? standby : cold;
}

interface Step {
  readonly draft: SlotDraft;
  readonly donor: number;
  readonly receiver: number;
  readonly readiness: number;
  readonly rank: readonly number[];
}

/** Moves slots between members, or notes who is to receive them. Returns the moves left over. */
export function balanceOwners(
  drafts: readonly SlotDraft[],
  members: readonly PlanMember[],
  loads: PlanLoads,
  movesMax: number,
): number {
  const balance = new OwnerBalance(drafts, members, loads);
  const tally = { moves: 0, waiting: 0, leftovers: 0 };
  // Each step uses up a slot, so there are no more steps than slots.
  for (let step = balance.next(); step !== null; step = balance.next()) {
    const { draft, donor, receiver, readiness } = step;
    if (isDark(draft, members[donor])) {
      draft.owner = receiver; // PB3
    } else if (readiness <= warm && tally.moves < movesMax && !isSettling(draft)) {
      tally.moves += 1; // PB2, PB3
      draft.owner = receiver;
      draft.reason = 'balance';
    } else {
      tally.leftovers += 1;
      if (readiness > warm && tally.waiting >= movesMax) continue;
      if (readiness > warm) tally.waiting += 1;
      draft.receiver = receiver; // PB2
    }
  }
  return tally.leftovers;
}

/** Beyond any readiness: what an operator placed is moved last (PB4), before it what cannot move in this round anyway. */
function reluctanceOf(draft: SlotDraft): number {
  return (isSettling(draft) ? cold + 1 : 0) + (draft.reason === 'move' ? 2 * (cold + 1) : 0);
}

/** Its owner got it in this round, or whoever holds it has still to let it go (PB3). */
function isSettling({ given, holder, owner, releasing }: SlotDraft): boolean {
  return given || (holder >= 0 && (holder !== owner || releasing));
}

/** Nobody holds the slot, and its owner could not start it sooner than anybody else (PB3). */
function isDark({ holder, slot, given }: SlotDraft, owner: PlanMember | undefined): boolean {
  return holder < 0 && !given && owner?.report.format === 2 && !owner.report.warm.has(slot);
}

/** Finds one step after the other; loads count every step as done, also those that wait for a later round. */
class OwnerBalance {
  readonly #members: readonly PlanMember[];
  readonly #loads: PlanLoads;
  readonly #gain: number;
  /** By owner: what may still move. */
  readonly #movable: SlotDraft[][];
  /** By member: slots that it stood by for. */
  readonly #stoodBy: number[];
  /** Donors for whose slots nobody was found since the last pass began. */
  readonly #spent = new Set<number>();
  #found = false;

  constructor(drafts: readonly SlotDraft[], members: readonly PlanMember[], loads: PlanLoads) {
    this.#members = members;
    this.#loads = loads;
    const weightsDiffer = drafts.some(({ weight }) => weight !== drafts[0]?.weight);
    this.#gain = weightsDiffer ? loads.mean * gainMin : 0;
    this.#movable = members.map(() => []);
    this.#stoodBy = members.map(() => 0);
    for (const draft of drafts) {
      const { previousStandby } = draft;
      if (previousStandby >= 0) this.#stoodBy[previousStandby] = (this.#stoodBy[previousStandby] ?? 0) + 1;
      if (!draft.placed) this.#movable[draft.owner]?.push(draft);
    }
  }

  next(): Step | null {
    for (;;) {
      const donor = this.#heaviest();
      if (donor < 0) {
        if (!this.#found) return null;
        this.#found = false; // what moved meanwhile may have made room
        this.#spent.clear();
        continue;
      }
      const step = this.#bestStep(donor);
      if (step === null) {
        this.#spent.add(donor);
        continue;
      }
      this.#found = true;
      this.#take(step);
      return step;
    }
  }

  #heaviest(): number {
    let heaviest = -1;
    for (const [index, slots] of this.#movable.entries()) {
      if (slots.length === 0 || this.#spent.has(index)) continue;
      if (heaviest < 0 || this.#loads.of(index) > this.#loads.of(heaviest)) heaviest = index;
    }
    return heaviest;
  }

  #take({ draft, donor, receiver }: Step): void {
    const slots = this.#movable[donor] ?? [];
    slots.splice(slots.indexOf(draft), 1);
    this.#loads.add(donor, -draft.weight);
    this.#loads.add(receiver, draft.weight);
  }

  /** To the member that carries least; among those that carry the same, to the one that is ready. */
  #bestStep(donor: number): Step | null {
    const load = this.#loads.of(donor);
    const receivers = [...this.#members.keys()]
      .filter((index) => index !== donor && this.#loads.of(index) < load)
      .sort((a, b) => this.#loads.of(a) - this.#loads.of(b) || a - b);
    let best: Step | null = null;
    let bestLoad = 0;
    for (const receiver of receivers) {
      const receiverLoad = this.#loads.of(receiver);
      if (best !== null && receiverLoad > bestLoad) return best;
      if (best !== null && (best.rank[0] ?? 0) <= this.#readinessMin(receiver)) continue; // it cannot be better
      const step = this.#bestSlot(donor, receiver);
      if (step === null) continue;
      if (best === null || (step.rank[0] ?? 0) < (best.rank[0] ?? 0)) [best, bestLoad] = [step, receiverLoad];
    }
    return best;
  }

  /** The best that the member can be for any slot, without looking at slots. */
  #readinessMin(receiver: number): number {
    const report = this.#members[receiver]?.report;
    if (report?.format === 1 || (report?.warm.size ?? 0) > 0) return warmStandby;
    return (this.#stoodBy[receiver] ?? 0) > 0 ? standby : cold;
  }

  /** The slot whose move leaves the pair most alike, of those that the receiver is readiest for. */
  #bestSlot(donor: number, receiver: number): Step | null {
    const member = this.#members[receiver];
    if (member === undefined) return null;
    const before = this.#loads.of(donor);
    let best: Step | null = null;
    for (const draft of this.#movable[donor] ?? []) {
      const after = this.#loads.after(receiver, draft.weight);
      if (after >= before || before - after < this.#gain) continue; // PB1
      if (member.report.unable.has(draft.slot)) continue;
      const readiness = readinessOf(draft, member, receiver);
      const rank = [
        readiness + reluctanceOf(draft),
        Math.max(after, this.#loads.after(donor, -draft.weight)),
        draft.slot,
      ];
      if (best === null || isLower(rank, best.rank)) best = { draft, donor, receiver, readiness, rank };
    }
    return best;
  }
}
