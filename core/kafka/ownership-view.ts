import { ownershipNumberMax, type Placement, type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';

/**
 * What the topic `ownership` says of one group, whatever order its records came in. Pure.
 *
 * OV1. Reader rule: per slot the highest epoch wins, within an epoch released over held; of plans the highest version,
 *      of equal versions the later record.
 * OV2. Heal rule: in the log the last write wins, so a record that is followed by a lower one will be lost to
 *      compaction. `applySlot` and `applyPlan` say when that happened; whoever wrote the better record writes it again.
 * OV3. Wishes have no order of their own: of one key the later record counts, and null withdraws it.
 * OV4. Numbers from 2^63 on are nobody's: one would leave no numbers to go above it.
 */
export type Applied =
  /** News: the view changed. */
  | 'changed'
  /** What we knew already. */
  | 'same'
  /** Below what we know: the better record has to be written again (OV2). */
  | 'lower';

export class OwnershipView {
  readonly #slots = new Map<Slot, SlotOwnership>();
  readonly #drains = new Map<string, Placement>();
  readonly #places = new Map<Slot, Placement>();
  #plan: Plan | null = null;

  get plan(): Plan | null {
    return this.#plan;
  }

  slot(slot: Slot): SlotOwnership | null {
    return this.#slots.get(slot) ?? null;
  }

  slots(): IterableIterator<[Slot, SlotOwnership]> {
    return this.#slots.entries();
  }

  /** Wishes to empty an instance, by instance. */
  get drains(): ReadonlyMap<string, Placement> {
    return this.#drains;
  }

  /** Wishes to move a slot to an instance, by slot. */
  get places(): ReadonlyMap<Slot, Placement> {
    return this.#places;
  }

  /** Null withdraws (OV3). */
  applyDrain(instance: string, placement: Placement | null): void {
    if (placement?.drain === true) this.#drains.set(instance, placement);
    else this.#drains.delete(instance);
  }

  applyPlace(slot: Slot, placement: Placement | null): void {
    if (placement === null) this.#places.delete(slot);
    else this.#places.set(slot, placement);
  }

  applySlot(record: SlotOwnership): Applied {
    if (record.epoch > ownershipNumberMax) return 'same'; // OV4
    const known = this.#slots.get(record.slot);
    const order = known === undefined ? 1 : compareOwnership(record, known);
    if (order > 0) this.#slots.set(record.slot, record); // OV1
    return order > 0 ? 'changed' : order === 0 ? 'same' : 'lower';
  }

  applyPlan(plan: Plan): Applied {
    if (plan.version > ownershipNumberMax) return 'same'; // OV4
    if (this.#plan !== null && plan.version < this.#plan.version) return 'lower';
    const same = this.#plan?.version === plan.version && this.#plan.generation === plan.generation;
    this.#plan = plan;
    return same ? 'same' : 'changed';
  }
}

/** Positive when `a` outranks `b`, 0 when they say the same (OV1). */
export function compareOwnership(a: SlotOwnership, b: SlotOwnership): number {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? 1 : -1;
  return Number(a.state === 'released') - Number(b.state === 'released');
}
