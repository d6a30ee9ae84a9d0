/**
 * Which slots this instance holds: its own, and those that somebody needs for a while. Pure but for its timers.
 *
 * H1. A slot is held as long as it is wanted for any reason, and acquired and let go exactly once in between.
 * H2. A borrowed slot stays for `lingerMs` after its last user: the next question like that one finds it here.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type Slot } from '../schemas/slot.ts';

export interface WantedSlotsOptions {
  readonly slots: number;
  /** Slots that are the instance's own from the start on; they are not told to `acquire`. */
  readonly own: ReadonlySet<Slot>;
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly acquire: (slot: Slot) => void;
  readonly letGo: (slot: Slot) => void;
}

export class WantedSlots {
  readonly #options: WantedSlotsOptions;
  readonly #held: Set<Slot>;
  #own: ReadonlySet<Slot>;
  readonly #users = new Map<Slot, number>();
  #isStopped = false;
  readonly #lingering = new Map<Slot, Timer>();

  constructor(options: WantedSlotsOptions) {
    this.#options = options;
    this.#own = options.own;
    this.#held = new Set(options.own);
  }

  get held(): ReadonlySet<Slot> {
    return this.#held;
  }

  hold(slots: ReadonlySet<Slot>): void {
    this.#own = new Set(slots);
    this.#settle();
  }

  /** Returns the way to give them back; a second call of it has no effect. */
  borrow(slots: Iterable<Slot>): () => void {
    const borrowed = [...new Set(slots)];
    for (const slot of borrowed) this.#users.set(slot, (this.#users.get(slot) ?? 0) + 1);
    this.#settle();
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      for (const slot of borrowed) this.#giveBack(slot);
    };
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#lingering.values()) timer.cancel();
    this.#lingering.clear();
  }

  #giveBack(slot: Slot): void {
    const { clock, lingerMs } = this.#options;
    if (this.#isStopped) return;
    const left = (this.#users.get(slot) ?? 1) - 1;
    if (left > 0) {
      this.#users.set(slot, left);
      return;
    }
    this.#users.delete(slot);
    this.#lingering.get(slot)?.cancel();
    const over = (): void => {
      this.#lingering.delete(slot);
      this.#settle();
    };
    this.#lingering.set(slot, clock.after(lingerMs, over)); // H2
  }

  /** H1. */
  #settle(): void {
    for (let slot = 0; slot < this.#options.slots; slot += 1) {
      const wanted = this.#own.has(slot) || this.#users.has(slot) || this.#lingering.has(slot);
      if (wanted === this.#held.has(slot)) continue;
      if (wanted) {
        this.#held.add(slot);
        this.#options.acquire(slot);
      } else {
        this.#held.delete(slot);
        this.#options.letGo(slot);
      }
    }
  }
}
