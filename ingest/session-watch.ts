import { type Clock, type Timer } from '../core/clock.ts';
import { type Component } from '../core/lifecycle.ts';

/**
 * One coarse timer for the time-outs of all sessions: thousands of sessions compare a few numbers four times a second instead of
 * re-arming a timer with every message. A time-out is therefore late by up to one period.
 */
export interface Watched {
  tick(nowMonotonicMs: number): void;
}

export class SessionWatch implements Component {
  readonly name = 'session watch';
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #watched = new Set<Watched>();
  #timer: Timer | null = null;

  constructor(options: { readonly clock: Clock; readonly periodMs?: number }) {
    this.#clock = options.clock;
    this.#periodMs = options.periodMs ?? 250;
  }

  start(): Promise<void> {
    this.#timer = this.#clock.every(this.#periodMs, () => {
      const nowMonotonicMs = this.#clock.monotonicMs();
      for (const watched of this.#watched) watched.tick(nowMonotonicMs);
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    return Promise.resolve();
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
  }

  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }
}
