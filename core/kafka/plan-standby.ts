import { type PlanMember, type SlotDraft } from './plan-draft.ts';
import { isLower } from './plan-rank.ts';

/**
 * Who stands by for each slot, where there are two members: who is to take it for balance (that is how a newcomer warms
 * up), else one in another zone than the owner, else who stood by before, else who stands by for fewest.
 *
 * PS1. Sticky, but not beyond a member's share by capacity. Choosing again from the result changes nothing.
 * PS2. The slots of one owner are spread over all who may stand by for it: when it dies, no single member inherits it.
 * PS3. Whoever gave the slot to its standby stands by in turn: it has everything that the slot needs.
 */
export function chooseStandbys(drafts: readonly SlotDraft[], members: readonly PlanMember[]): void {
  const shares = sharesOf(drafts, members);
  const tally = new StandbyTally(members.length);
  for (const { owner, receiver } of drafts) if (receiver >= 0) tally.add(owner, receiver);
  for (const draft of drafts) {
    draft.standby = draft.receiver >= 0 ? draft.receiver : bestStandby(draft, members, shares, tally);
    if (draft.receiver < 0 && draft.standby >= 0) tally.add(draft.owner, draft.standby);
  }
}

function bestStandby(draft: SlotDraft, members: readonly PlanMember[], shares: Shares, tally: StandbyTally): number {
  const { owner } = draft;
  const ownerZone = members[owner]?.report.zone;
  const usual = draft.previousStandby === owner ? draft.holder : draft.previousStandby; // PS3
  let best = -1;
  let bestRank: readonly number[] = [];
  for (const [index, { report, capacity }] of members.entries()) {
    if (index === owner || capacity === 0) continue;
    const [all, ofOwner] = [tally.of(index), tally.of(index, owner)];
    const isWithin = all < (shares.all[index] ?? 0) && ofOwner < (shares.ofOwner[owner]?.[index] ?? 0); // PS1
    const rank = [
      Number(report.unable.has(draft.slot)),
      Number(report.zone === ownerZone),
      index === usual && isWithin ? 0 : 1,
      (ofOwner + 1) / capacity, // PS2
      (all + 1) / capacity,
    ];
    if (best < 0 || isLower(rank, bestRank)) [best, bestRank] = [index, rank];
  }
  return best;
}

/** For how many slots each member should stand by, at most: of each owner, and of all. */
interface Shares {
  readonly ofOwner: readonly (readonly number[])[];
  readonly all: readonly number[];
}

function sharesOf(drafts: readonly SlotDraft[], members: readonly PlanMember[]): Shares {
  const owned = members.map(() => 0);
  for (const { owner } of drafts) if (owner >= 0) owned[owner] = (owned[owner] ?? 0) + 1;
  const exact = members.map((owner, at) => {
    const others = members.map(({ capacity }, index) => (index === at ? 0 : capacity));
    const elsewhere = others.map((capacity, index) =>
      members[index]?.report.zone === owner.report.zone ? 0 : capacity,
    );
    const pool = elsewhere.some((capacity) => capacity > 0) ? elsewhere : others;
    const total = pool.reduce((sum, capacity) => sum + capacity, 0);
    return pool.map((capacity) => (total === 0 ? 0 : ((owned[at] ?? 0) * capacity) / total));
  });
  return {
    ofOwner: exact.map((row) => row.map(Math.ceil)),
    all: members.map((_, index) => Math.ceil(exact.reduce((sum, row) => sum + (row[index] ?? 0), 0))),
  };
}

/** For how many slots each member stands by so far. */
class StandbyTally {
  readonly #all: number[];
  readonly #ofOwner: number[][];

  constructor(members: number) {
    this.#all = new Array<number>(members).fill(0);
    this.#ofOwner = this.#all.map(() => new Array<number>(members).fill(0));
  }

  add(owner: number, standby: number): void {
    this.#all[standby] = (this.#all[standby] ?? 0) + 1;
    const row = this.#ofOwner[owner];
    if (row !== undefined) row[standby] = (row[standby] ?? 0) + 1;
  }

  of(standby: number, owner?: number): number {
    return (owner === undefined ? this.#all[standby] : this.#ofOwner[owner]?.[standby]) ?? 0;
  }
}
