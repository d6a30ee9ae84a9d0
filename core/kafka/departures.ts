import { type Slot } from '../../schemas/slot.ts';
import { type Clock, type Timer } from '../clock.ts';
import { type SlotEvent } from './slot-state.ts';

/**
 * The order in which active slots leave for their new owners: one goes when the one before has been taken, so that each
 * device is silent for the hand-over of its own slot and not for that of all of them. Sessions of slots that wait go on.
 *
 * DP1. A slot that is not released, or whose new owner does not come, is waited for no longer than its share of
 *      `totalMsMax` each time: a drain ends in time.
 * DP2. Every departure is told its event once, in its turn or when the slot stops being active for another reason.
 * DP3. A new plan begins anew: what it says of a slot is the only thing that counts.
 */
export interface DeparturesOptions {
  readonly clock: Clock;
  /** The slot's turn has come: what the plan says of it takes effect. */
  readonly depart: (slot: Slot, event: SlotEvent) => void;
}

/** Twice this is well within the 25 s of a drain. */
const totalMsMax = 8_000;
const takenMsMax = 400;
/** The new owner's sessions begin at once with their initial state: room for the first of it. */
const restMs = 40;

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #waiting = new Map<Slot, SlotEvent>();
  /** On its way: released, perhaps, and not taken yet. */
  #leaving: Slot | null = null;
  #takenMs = takenMsMax;
  #timer: Timer | undefined;

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  begin(departures: ReadonlyMap<Slot, SlotEvent>): void {
    this.stop(); // DP3
    for (const [slot, event] of departures) this.#waiting.set(slot, event);
    this.#takenMs = Math.min(takenMsMax, totalMsMax / Math.max(1, departures.size)); // DP1
    this.#next();
  }

  /** The slot is not active any more. */
  left(slot: Slot): void {
    const event = this.#waiting.get(slot);
    if (event === undefined) return;
    this.#waiting.delete(slot);
    this.#options.depart(slot, event); // DP2
  }

  /** The slot's release was written, or given up: its new owner may come. */
  released(slot: Slot): void {
    if (slot === this.#leaving) this.#nextAfter(this.#takenMs);
  }

  /** Another worker holds the slot. */
  taken(slot: Slot): void {
    if (slot === this.#leaving) this.#nextAfter(Math.min(restMs, this.#takenMs));
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting.clear();
    this.#leaving = null;
  }

  #nextAfter(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(ms, () => this.#next());
  }

  #next(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#leaving = null;
    const [first] = this.#waiting;
    if (first === undefined) return;
    const [slot, event] = first;
    this.#waiting.delete(slot);
    this.#leaving = slot;
    this.#nextAfter(this.#takenMs); // DP1
    this.#options.depart(slot, event);
  }
}
