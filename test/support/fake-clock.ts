import { type Clock, sleepBy, type Timer } from '../../core/clock.ts';

interface Armed {
  atMs: number;
  readonly serial: number;
  readonly everyMs: number | null;
  readonly callback: () => void;
}

/**
 * Virtual time: nothing moves unless a test says so. `advance` fires timers in the order of their times, each at exactly
 * its moment, and lets promises settle in between.
 */
export class FakeClock implements Clock {
  #monotonicMs = 1_000;
  #wallMs = 1_700_000_000_000;
  #serial = 0;
  readonly #armed = new Set<Armed>();

  nowMs(): number {
    return this.#wallMs;
  }

  nowNs(): bigint {
    return BigInt(Math.round(this.#wallMs * 1_000)) * 1_000n;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Timers that are armed: none, when everything was stopped. */
  get armed(): number {
    return this.#armed.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  after(ms: number, callback: () => void): Timer {
    return this.#arm(Math.max(ms, 0), null, callback);
  }

  every(ms: number, callback: () => void): Timer {
    return this.#arm(ms, Math.max(ms, 1), callback);
  }

  /** Lets `ms` pass. Resolves when what was set off has settled. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    await settled();
    for (let next = this.#due(untilMs); next !== undefined; next = this.#due(untilMs)) {
      this.#pass(Math.max(next.atMs - this.#monotonicMs, 0)); // a timer that is late fires now
      this.#fire(next);
      await settled();
    }
    this.#pass(untilMs - this.#monotonicMs);
  }

  /** The process stands still: both clocks go on, no timer fires until time passes again. */
  stall(ms: number): void {
    this.#pass(ms);
  }

  /** The machine is suspended: only the wall clock goes on. */
  suspend(ms: number): void {
    this.#wallMs += ms;
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }

  #arm(ms: number, everyMs: number | null, callback: () => void): Timer {
    const armed: Armed = { atMs: this.#monotonicMs + ms, serial: (this.#serial += 1), everyMs, callback };
    this.#armed.add(armed);
    return { cancel: () => void this.#armed.delete(armed) };
  }

  #due(untilMs: number): Armed | undefined {
    const due = [...this.#armed].filter(({ atMs }) => atMs <= untilMs);
    return due.sort((a, b) => a.atMs - b.atMs || a.serial - b.serial)[0];
  }

  #fire(armed: Armed): void {
    if (armed.everyMs === null) this.#armed.delete(armed);
    else armed.atMs = this.#monotonicMs + armed.everyMs; // as Node does: counted from the call
    armed.callback();
  }
}

/** Lets every promise that can settle without time passing do so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
