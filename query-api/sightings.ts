/**
 * When we last saw each instance's record, by our own clock: an instance of which nothing was seen for 5 s is gone. The
 * same records, our own among them, tell whether Kafka answers us.
 */
import { type Clock } from '../core/clock.ts';

const goneAfterMs = 5_000;

export class Sightings {
  readonly #clock: Clock;
  readonly #seen = new Map<string, number>();
  #lastMonotonicMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  changed(instance: string, exists: boolean): void {
    this.#lastMonotonicMs = this.#clock.monotonicMs();
    if (exists) this.#seen.set(instance, this.#lastMonotonicMs);
    else this.#seen.delete(instance);
  }

  /** ms since its last record; `undefined`: never seen, or stopped cleanly. */
  seenMs(instance: string): number | undefined {
    const seen = this.#seen.get(instance);
    return seen === undefined ? undefined : Math.round(this.#clock.monotonicMs() - seen);
  }

  isAlive(instance: string): boolean {
    const seenMs = this.seenMs(instance);
    return seenMs !== undefined && seenMs <= goneAfterMs;
  }

  /** It was there, and then nothing more came from it although Kafka answers. */
  isGone(instance: string): boolean {
    return this.kafkaAnswers && this.#seen.has(instance) && !this.isAlive(instance);
  }

  /** Some instance's record, at least our own of every second, came through within the bound. */
  get kafkaAnswers(): boolean {
    return this.#lastMonotonicMs !== null && this.#clock.monotonicMs() - this.#lastMonotonicMs <= goneAfterMs;
  }
}
