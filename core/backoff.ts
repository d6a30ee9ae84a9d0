import { type Random } from './random.ts';

/** Exponential back-off with jitter; never gives up, the caller's signal does. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Share of the delay that is random: 0.5 gives delay × [0.5, 1.5). */
  readonly jitter: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #delayMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#delayMs = options.initialMs;
  }

  /** The wait before the next attempt; the one after that will be longer. */
  nextMs(random: Random): number {
    const { jitter, factor, maxMs } = this.#options;
    const delayMs = this.#delayMs * (1 - jitter + 2 * jitter * random.next());
    this.#delayMs = Math.min(this.#delayMs * factor, maxMs);
    return delayMs;
  }

  reset(): void {
    this.#delayMs = this.#options.initialMs;
  }
}
