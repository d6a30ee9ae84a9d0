import { type Clock, type Timer } from '../clock.ts';
import { driftMsMax, judgeTick, leaseUntilMs, publishUntilMs, type Lease } from './lease.ts';
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

/** NTP slews by 500 ppm at most; twice that is forgiven. */
const slewMax = 0.001;

export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  #publishUntilMs = Number.NEGATIVE_INFINITY;
  #end: Timer | undefined;
  #endAtMs = 0;
  #last = { monotonicMs: 0, wallMs: 0 };
  /** By how much the wall clock ran ahead of the monotonic one so far, less what setting it slowly explains. */
  #driftMs = 0;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  /** Comparisons of numbers: the lease, and whether the machine has been paused since the last tick (L3). */
  live(): boolean {
    const { clock, timers } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#publishUntilMs) return false;
    return Math.abs(this.#driftMsAt(nowMs, clock.nowMs())) <= driftMsMax(timers);
  }

  /** Ticks are counted from now. */
  start(): void {
    const { clock } = this.#options;
    this.#last = { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
    this.#driftMs = 0;
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
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.nowMs()];
    const driftMs = this.#driftMsAt(nowMs, wallMs);
    const lateMs = nowMs - this.#last.monotonicMs - timers.heartbeatMs;
    this.#last = { monotonicMs: nowMs, wallMs };
    const lease = current();
    if (lease === null || !Number.isFinite(leaseUntilMs(lease, timers))) return;
    const verdict = judgeTick({ lateMs, driftMs }, timers);
    // Short pauses add up; what a clock that is slewed gains in a period does not.
    const slewMs = timers.heartbeatMs * slewMax;
    this.#driftMs =
      Math.abs(driftMs) > driftMsMax(timers) ? 0 : Math.sign(driftMs) * Math.max(0, Math.abs(driftMs) - slewMs);
    if (nowMs < leaseUntilMs(lease, timers) && verdict.kind === 'stalled') onStall(nowMs, verdict.lostMs);
    const left = current();
    if (left !== null && nowMs >= leaseUntilMs(left, timers)) onEnd();
  }

  stop(): void {
    this.#end?.cancel();
    this.#end = undefined;
    this.#publishUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** All that has come together, up to these readings of the two clocks. */
  #driftMsAt(monotonicMs: number, wallMs: number): number {
    return this.#driftMs + wallMs - this.#last.wallMs - (monotonicMs - this.#last.monotonicMs);
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
