import { type Clock, type Timer } from '../clock.ts';
import { judgeTick, leaseUntilMs, publishUntilMs, type Lease } from './lease.ts';
import { type LockTimers } from './lock-timers.ts';

/**
 * Watches a lease: says when it is over, and when this process or machine stood still so that its timers cannot be
 * trusted. `live` is the guard of the data path.
 */
export interface LeaseWatchOptions {
  readonly timers: LockTimers;
  readonly clock: Clock;
  /** The lease of this moment; null: there is none. */
  readonly lease: () => Lease | null;
  readonly onEnd: () => void;
  readonly onStall: (nowMs: number, lostMs: number) => void;
}

export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  #publishUntilMs = Number.NEGATIVE_INFINITY;
  #end: Timer | undefined;
  #endAtMs = 0;
  #last = { monotonicMs: 0, wallMs: 0 };

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  /** A comparison of two numbers. */
  live(): boolean {
    return this.#options.clock.monotonicMs() < this.#publishUntilMs;
  }

  /** Ticks are counted from now. */
  start(): void {
    const { clock } = this.#options;
    this.#last = { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
  }

  /** After every change of the lease. */
  renew(): void {
    const { timers, clock, lease: current } = this.#options;
    const lease = current();
    this.#publishUntilMs = lease === null ? Number.NEGATIVE_INFINITY : publishUntilMs(lease, timers);
    const untilMs = lease === null ? Number.NEGATIVE_INFINITY : leaseUntilMs(lease, timers);
    if (!Number.isFinite(untilMs)) {
      this.#end?.cancel();
      this.#end = undefined;
    } else {
      // One timer for many extensions: when it fires, either the lease is over or the timer is set anew. Only an end that
      // moved forward needs another one.
      if (this.#end !== undefined && untilMs >= this.#endAtMs) return;
      this.#end?.cancel();
      this.#endAtMs = untilMs;
      this.#end = clock.after(Math.max(0, untilMs - clock.monotonicMs()), () => this.#onTimer());
    }
  }

  /** Once a heartbeat period: was this tick late, or did the two clocks drift apart? */
  tick(): void {
    const { timers, clock, lease: current, onEnd, onStall } = this.#options;
    const last = this.#last;
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.nowMs()];
    this.#last = { monotonicMs: nowMs, wallMs };
    const lease = current();
    if (lease === null || !Number.isFinite(leaseUntilMs(lease, timers))) return;
    const verdict = judgeTick(
      {
        lateMs: nowMs - last.monotonicMs - timers.heartbeatMs,
        driftMs: wallMs - last.wallMs - (nowMs - last.monotonicMs),
      },
      timers,
    );
    if (nowMs < leaseUntilMs(lease, timers) && verdict.kind === 'stalled') onStall(nowMs, verdict.lostMs);
    const left = current();
    if (left !== null && nowMs >= leaseUntilMs(left, timers)) onEnd();
  }

  stop(): void {
    this.#end?.cancel();
    this.#end = undefined;
    this.#publishUntilMs = Number.NEGATIVE_INFINITY;
  }

  #onTimer(): void {
    const { timers, clock, lease: current, onEnd } = this.#options;
    this.#end = undefined;
    const lease = current();
    if (lease === null) return;
    if (clock.monotonicMs() >= leaseUntilMs(lease, timers)) onEnd();
    else this.renew();
  }
}
