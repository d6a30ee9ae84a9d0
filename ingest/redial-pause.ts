import { Backoff } from '../core/backoff.ts';
import { type Random } from '../core/random.ts';
import { type IngestSettings } from './config.ts';

/**
 * How long a device is left alone before it is dialled again, whether for a session or to prepare one. Random by half, so that
 * devices that failed together do not come back together; it never gives up.
 */
export class RedialPause {
  readonly #settings: Pick<IngestSettings, 'redialMs' | 'redialMsMax' | 'refusedRedialMs'>;
  readonly #random: Random;
  readonly #backoff: Backoff;

  constructor(settings: Pick<IngestSettings, 'redialMs' | 'redialMsMax' | 'refusedRedialMs'>, random: Random) {
    this.#settings = settings;
    this.#random = random;
    this.#backoff = new Backoff({
      initialMs: settings.redialMs,
      maxMs: settings.redialMsMax,
      factor: 2,
      jitter: 0.5,
    });
  }

  /** `soon`: it did not answer, or ended the stream (T14). `slowly`: it refused us (T19), or something of ours threw. */
  nextMs(retry: 'soon' | 'slowly'): number {
    if (retry === 'soon') return this.#backoff.nextMs(this.#random);
    return this.#settings.refusedRedialMs * (0.5 + this.#random.next());
  }

  /** A connection is over: one that was up for longer than the longest pause begins with the shortest again (T14). */
  ended(uptimeMs: number): void {
    if (uptimeMs > this.#settings.redialMsMax) this.reset();
  }

  reset(): void {
    this.#backoff.reset();
  }
}
