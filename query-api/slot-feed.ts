/**
 * Who hears of one slot's changes, and the changes of a batch until they may be told (F1, F3 of state-feed.ts).
 *
 * T1. The changes of a position of which more follows are kept back, with or without listeners: who begins to listen
 *     in between hears all of it. Beyond `heldMax` they are let go, and everybody takes the slot's state anew instead.
 * T2. Who begins to listen or leaves while a batch is told does not hear that batch any more.
 */
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafChange, type StateListener } from './state-feed.ts';

/** Epoch and seq of the position that is not whole yet. */
export interface Unfinished {
  readonly epoch: bigint;
  readonly seq: bigint;
}

/** More leaves than one message of a device can hold; deletes of all that a device has may be more. */
const heldMaxDefault = 500_000;

export class SlotFeed {
  readonly #slot: Slot;
  readonly #heldMax: number;
  readonly #listeners = new Set<StateListener>();
  #batch: LeafChange[] = [];
  #held: LeafChange[] = [];
  #heldTooMany = false;
  #told: Position | null = null;

  constructor(slot: Slot, heldMax = heldMaxDefault) {
    this.#slot = slot;
    this.#heldMax = heldMax;
  }

  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  join(listener: StateListener): void {
    this.#listeners.add(listener);
  }

  leave(listener: StateListener): void {
    this.#listeners.delete(listener);
  }

  /** A change that the store took. Hot: once per record while somebody listens. */
  take(change: LeafChange): void {
    this.#batch.push(change);
  }

  /** The batch has ended: the slot is whole up to `through`; `unfinished` lies behind it. */
  tell(through: Position | null, unfinished: Unfinished | null): void {
    const batch = this.#batch;
    this.#batch = [];
    if (this.#heldTooMany) {
      if (unfinished === null) this.reset(); // T1
      return;
    }
    const changes = this.#wholeOf(batch, through, unfinished);
    if (through === null) return;
    const moved = through.seq !== this.#told?.seq || through.epoch !== this.#told.epoch;
    this.#told = through;
    if (changes.length > 0 || moved) this.#forEach((listener) => listener.onChanges(this.#slot, changes, through));
  }

  /** Whoever listens takes the slot's state anew. */
  reset(): void {
    this.#batch = [];
    this.#held = [];
    this.#heldTooMany = false;
    this.#told = null;
    this.#forEach((listener) => listener.onReset(this.#slot));
  }

  #wholeOf(batch: LeafChange[], through: Position | null, unfinished: Unfinished | null): readonly LeafChange[] {
    const changes = this.#held.length === 0 ? batch : [...this.#held, ...batch];
    this.#held = [];
    if (unfinished === null && through !== null) return changes;
    const whole: LeafChange[] = [];
    for (const change of changes) {
      const isPart = through === null || (change.epoch === unfinished?.epoch && change.seq === unfinished.seq);
      (isPart ? this.#held : whole).push(change); // T1
    }
    if (this.#held.length > this.#heldMax) {
      this.#heldTooMany = true;
      this.#held = [];
    }
    return whole;
  }

  #forEach(tell: (listener: StateListener) => void): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) tell(listener); // T2
  }
}
