import { type PlanMember, type SlotDraft } from './plan-draft.ts';

/**
 * What each member carries: the weights of the slots that the drafts give it, divided by its capacity. Sums of powers of
 * two are exact, so equal loads compare as equal.
 */
export class PlanLoads {
  /** The load of each member if weight could be spread like water. */
  readonly mean: number;
  readonly #capacities: readonly number[];
  readonly #sums: number[];

  constructor(drafts: readonly SlotDraft[], members: readonly PlanMember[]) {
    this.#capacities = members.map(({ capacity }) => capacity);
    this.#sums = members.map(() => 0);
    let weight = 0;
    for (const draft of drafts) {
      weight += draft.weight;
      if (draft.owner >= 0) this.add(draft.owner, draft.weight);
    }
    const capacity = this.#capacities.reduce((sum, one) => sum + one, 0);
    this.mean = capacity === 0 ? 0 : weight / capacity;
  }

  of(member: number): number {
    return this.after(member, 0);
  }

  /** The load with `weight` more (or less); infinite for who may own nothing. */
  after(member: number, weight: number): number {
    const capacity = this.#capacities[member] ?? 0;
    return capacity === 0 ? Number.POSITIVE_INFINITY : ((this.#sums[member] ?? 0) + weight) / capacity;
  }

  add(member: number, weight: number): void {
    this.#sums[member] = (this.#sums[member] ?? 0) + weight;
  }
}
