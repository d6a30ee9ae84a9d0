/** The turns of the event loop that one long piece of work takes: others wait for one of them, not for all of it. */
import { setImmediate as nextTurn } from 'node:timers';
import { type Clock } from '../core/clock.ts';

/** Other requests wait no longer than this for one that reads a whole fleet. */
const turnMs = 5;

export class Turns {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #startedMonotonicMs: number;

  /** Without `signal` the work goes on whoever has gone. */
  constructor(clock: Clock, signal?: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#startedMonotonicMs = clock.monotonicMs();
  }

  get isOver(): boolean {
    return this.#clock.monotonicMs() - this.#startedMonotonicMs > turnMs;
  }

  async next(): Promise<void> {
    await new Promise<void>((resolve) => nextTurn(resolve));
    this.#signal?.throwIfAborted();
    this.#startedMonotonicMs = this.#clock.monotonicMs();
  }
}
