import { type Clock } from '../core/clock.ts';
import { type GapReason } from '../schemas/marker.ts';
import { type DeviceLog } from './slot-writer.ts';

/**
 * Gap markers of one session. The first loss is marked at once; further ones are counted and marked together after a pause, so
 * that a device that sends nothing but garbage does not fill the log with markers.
 */
const quietMs = 1_000;

export class GapMarks {
  readonly #log: DeviceLog;
  readonly #clock: Clock;
  #markedAtMs = -Infinity;
  #pending: { reason: GapReason; detail: string; lost: bigint; fromNs: bigint; toNs: bigint } | null = null;

  constructor(log: DeviceLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  lost(reason: GapReason, detail: string): void {
    const nowNs = this.#clock.nowNs();
    if (this.#pending !== null && this.#pending.reason !== reason) this.flush();
    this.#pending ??= { reason, detail, lost: 0n, fromNs: nowNs, toNs: nowNs };
    this.#pending.lost += 1n;
    this.#pending.toNs = nowNs;
    this.tick(this.#clock.monotonicMs());
  }

  tick(nowMonotonicMs: number): void {
    if (this.#pending !== null && nowMonotonicMs - this.#markedAtMs >= quietMs) this.flush();
  }

  flush(): void {
    if (this.#pending === null) return;
    const { reason, detail, lost, fromNs, toNs } = this.#pending;
    this.#pending = null;
    this.#markedAtMs = this.#clock.monotonicMs();
    this.#log.marker('gap', { reason, detail, lost, lostFromNs: fromNs, lostToNs: toNs });
  }
}
