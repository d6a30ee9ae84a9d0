import { type Clock, sleepBy, type Timer } from '../../core/clock.ts';

/**
 * Virtual time: one queue of events for the whole simulated world. Nothing waits in reality; after each event every
 * promise that can settle has settled, so the same seed gives the same run.
 */
interface Entry {
  readonly atMs: number;
  readonly serial: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class VirtualTime {
  nowMs = 0;
  events = 0;
  #serial = 0;
  /** A binary heap by time, then by order of scheduling. */
  readonly #heap: Entry[] = [];

  at(atMs: number, run: () => void): Timer {
    const entry: Entry = { atMs: Math.max(atMs, this.nowMs), serial: (this.#serial += 1), run, cancelled: false };
    this.#push(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.nowMs + ms, run);
  }

  /** Runs events up to `untilMs`, or until `done` says so after one of them. */
  async run(untilMs: number, done: () => boolean): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      if (next.cancelled) continue;
      this.nowMs = next.atMs;
      this.events += 1;
      next.run();
      await new Promise((resolve) => setImmediate(resolve)); // the queue of promises is empty before it resolves
      if (done()) return;
    }
    this.nowMs = untilMs;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.serial < b.serial);
}

interface Armed {
  /** By this process's monotonic clock. */
  dueMs: number;
  readonly everyMs: number | null;
  readonly callback: () => void;
  timer: Timer | null;
}

/** How the clocks of a process differ from true time. */
export interface ClockFlaws {
  /** Monotonic milliseconds per true millisecond. */
  readonly rate: number;
  readonly wallOffsetMs: number;
  readonly bootMs: number;
}

/**
 * The clocks and timers of one process. It can stand still (`freeze`), with its machine (`suspend`: the monotonic clock
 * stops as well), its timers can be late, its wall clock can be stepped, and it can die.
 */
export class ProcessClock implements Clock {
  readonly #time: VirtualTime;
  readonly #flaws: ClockFlaws;
  readonly #armed = new Set<Armed>();
  readonly #waiting: (() => void)[] = [];
  #wallStepMs = 0;
  /** True time that the monotonic clock has missed. */
  #suspendedMs = 0;
  #suspendedAtMs: number | null = null;
  #still = false;
  #dead = false;
  /** Added to every timer: a busy event loop. */
  lateMs = 0;

  constructor(time: VirtualTime, flaws: ClockFlaws) {
    this.#time = time;
    this.#flaws = flaws;
  }

  get isStill(): boolean {
    return this.#still;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  nowMs(): number {
    return Math.floor(1_700_000_000_000 + this.#time.nowMs + this.#flaws.wallOffsetMs + this.#wallStepMs);
  }

  nowNs(): bigint {
    return BigInt(this.nowMs()) * 1_000_000n;
  }

  monotonicMs(): number {
    const stopped = this.#suspendedMs + (this.#suspendedAtMs === null ? 0 : this.#time.nowMs - this.#suspendedAtMs);
    return this.#flaws.bootMs + (this.#time.nowMs - stopped) * this.#flaws.rate;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  after(ms: number, callback: () => void): Timer {
    return this.#arm(Math.max(0, ms), null, callback);
  }

  every(ms: number, callback: () => void): Timer {
    return this.#arm(ms, Math.max(1, ms), callback);
  }

  /** Something from outside (an answer, a record) reaches the process: now, or when it moves again; never when dead. */
  deliver(run: () => void): void {
    if (this.#dead) return;
    if (this.#still) this.#waiting.push(run);
    else run();
  }

  freeze(suspended: boolean): void {
    if (this.#still || this.#dead) return;
    this.#still = true;
    if (suspended) this.#suspendedAtMs = this.#time.nowMs;
  }

  thaw(): void {
    if (!this.#still || this.#dead) return;
    this.#still = false;
    if (this.#suspendedAtMs !== null) {
      this.#suspendedMs += this.#time.nowMs - this.#suspendedAtMs;
      this.#suspendedAtMs = null;
      for (const armed of this.#armed) this.#schedule(armed);
    }
    // What came meanwhile and timers that are due compete in one event loop: timers first, as in Node.
    const waiting = this.#waiting.splice(0);
    for (const armed of [...this.#armed]) if (armed.dueMs <= this.monotonicMs()) this.#schedule(armed);
    for (const run of waiting) this.#time.after(0.5, () => this.deliver(run));
  }

  stepWall(ms: number): void {
    this.#wallStepMs += ms;
  }

  kill(): void {
    this.#dead = true;
    for (const armed of this.#armed) armed.timer?.cancel();
    this.#armed.clear();
    this.#waiting.length = 0;
  }

  #arm(ms: number, everyMs: number | null, callback: () => void): Timer {
    const armed: Armed = { dueMs: this.monotonicMs() + ms, everyMs, callback, timer: null };
    if (this.#dead) return { cancel: () => undefined };
    this.#armed.add(armed);
    this.#schedule(armed);
    return {
      cancel: () => {
        armed.timer?.cancel();
        this.#armed.delete(armed);
      },
    };
  }

  #schedule(armed: Armed): void {
    armed.timer?.cancel();
    const trueMs = Math.max(0, armed.dueMs - this.monotonicMs()) / this.#flaws.rate;
    armed.timer = this.#time.after(trueMs + this.lateMs, () => this.#fire(armed));
  }

  #fire(armed: Armed): void {
    if (this.#still || !this.#armed.has(armed)) return; // `thaw` looks again
    if (armed.everyMs === null) this.#armed.delete(armed);
    else {
      armed.dueMs = this.monotonicMs() + armed.everyMs;
      this.#schedule(armed);
    }
    armed.callback();
  }
}
