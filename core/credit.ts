/**
 * How much may still be written to a reader before it has taken what was written. The unit is the caller's: bytes, frames.
 * The transport grants back what it has drained.
 *
 * CR1. What was spent and not granted back never exceeds the limit, but for one frame larger than the limit itself: that
 *      one goes alone, with nothing before it under way, for it would wait for ever otherwise.
 * CR2. After a refusal the writer is told once, at the next grant; it is never told without one.
 */
import assert from 'node:assert/strict';

export class Credit {
  readonly limit: number;
  readonly #onCredit: () => void;
  #spent = 0;
  #refused = false;

  /** `onCredit` is called within `grant`, after a spend was refused (CR2). */
  constructor(limit: number, onCredit: () => void) {
    assert(limit > 0, 'without credit nothing is ever written');
    this.limit = limit;
    this.#onCredit = onCredit;
  }

  /** Spent and not granted back: what is under way. */
  get spent(): number {
    return this.#spent;
  }

  /** Whether `spend` would succeed. */
  covers(units: number): boolean {
    return this.#spent === 0 || this.#spent + units <= this.limit; // CR1
  }

  /** True: write it. False: not now; `onCredit` says when to try again. */
  spend(units: number): boolean {
    if (!this.covers(units)) {
      this.#refused = true;
      return false;
    }
    this.#spent += units;
    return true;
  }

  /** The reader has taken `units` of what was spent. */
  grant(units: number): void {
    assert(units <= this.#spent, 'more credit granted than was spent');
    this.#spent -= units;
    if (!this.#refused) return;
    this.#refused = false;
    this.#onCredit();
  }
}
