import { type Clock } from '../core/clock.ts';
import { type GapReason } from '../schemas/marker.ts';
import { type DeviceLog } from './slot-writer.ts';

export interface MarkedGap {
  readonly reason: GapReason;
  readonly detail: string;
  /** Our clock at the first and at the last of what is missing. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

/**
 * Gap markers of one session. The first loss is marked at once; further ones are counted and marked together after a pause, and
 * only when there is room for records: a device that sends nothing but garbage fills neither the log nor our memory.
 */
export interface GapMarksOptions {
  readonly log: DeviceLog;
  readonly clock: Clock;
  readonly mayMark: () => boolean;
  /** A marker was appended. */
  readonly onMarked: (gap: MarkedGap) => void;
}

const quietMs = 1_000;

export class GapMarks {
  readonly #options: GapMarksOptions;
  #markedAtMs = -Infinity;
  #pending: { reason: GapReason; detail: string; lost: bigint; fromNs: bigint; toNs: bigint } | null = null;

  constructor(options: GapMarksOptions) {
    this.#options = options;
  }

  lost(reason: GapReason, detail: string): void {
    const { clock } = this.#options;
    const nowNs = clock.nowNs();
    if (this.#pending !== null && this.#pending.reason !== reason) this.flush();
    this.#pending ??= { reason, detail, lost: 0n, fromNs: nowNs, toNs: nowNs };
    this.#pending.lost += 1n;
    this.#pending.toNs = nowNs;
    this.tick(clock.monotonicMs());
  }

  tick(nowMonotonicMs: number): void {
    if (this.#pending === null || nowMonotonicMs - this.#markedAtMs < quietMs) return;
    if (this.#options.mayMark()) this.flush();
  }

  flush(): void {
    if (this.#pending === null) return;
    const { reason, detail, lost, fromNs, toNs } = this.#pending;
    this.#pending = null;
    this.#markedAtMs = this.#options.clock.monotonicMs();
    this.#options.log.marker('gap', { reason, detail, lost, lostFromNs: fromNs, lostToNs: toNs });
    this.#options.onMarked({ reason, detail, fromNs, toNs });
  }
}
