/**
 * When we last saw each instance's record, by our own clock: an instance of which nothing was seen for 5 s is gone. The
 * same records, our own among them, tell whether Kafka answers us.
 *
 * SI1. What a record says of itself is as old as the sight of the record *before* it: an instance writes the next one
 *      when the one before is durable and a second has passed, so it cannot have been written earlier. The record's own
 *      sight would leave out the time that it took to us.
 * SI2. A record that was read while the tables were loading may be of last year: it proves nothing.
 */
import { type Clock } from '../core/clock.ts';

const goneAfterMs = 5_000;

interface Sight {
  readonly atMonotonicMs: number;
  /** Of the record before, if that was seen live. */
  readonly beforeMonotonicMs: number | null;
  readonly live: boolean;
}

export class Sightings {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Sight>();
  #lastMonotonicMs: number | null = null;
  #live = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whatever is seen from now on is written now (SI2). */
  loaded(): void {
    this.#live = true;
  }

  changed(instance: string, exists: boolean): void {
    this.#lastMonotonicMs = this.#clock.monotonicMs();
    if (!exists) {
      this.#seen.delete(instance);
      return;
    }
    const before = this.#seen.get(instance);
    const beforeMonotonicMs = before?.live === true ? before.atMonotonicMs : null;
    this.#seen.set(instance, { atMonotonicMs: this.#lastMonotonicMs, beforeMonotonicMs, live: this.#live });
  }

  /** ms since its last record; `undefined`: never seen, or stopped cleanly. */
  seenMs(instance: string): number | undefined {
    const seen = this.#seen.get(instance);
    return seen === undefined ? undefined : Math.round(this.#clock.monotonicMs() - seen.atMonotonicMs);
  }

  isAlive(instance: string): boolean {
    const seenMs = this.seenMs(instance);
    return seenMs !== undefined && seenMs <= goneAfterMs;
  }

  /** Alive, and a record of it was written since our tables were loaded (SI2). */
  isProven(instance: string): boolean {
    return this.isAlive(instance) && this.#seen.get(instance)?.live === true;
  }

  /** ms that its last record is old at most; infinite until two were seen live (SI1). */
  recordAgeMs(instance: string): number {
    const before = this.#seen.get(instance)?.beforeMonotonicMs ?? null;
    return before === null ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() - before;
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
