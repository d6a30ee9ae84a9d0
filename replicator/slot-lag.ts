/**
 * How far behind `telemetry` a slot's `state` is, in time. Holds no connection and reads no clock.
 *
 * G1. Never less than is known: of two upper bounds the smaller, and nothing at all while there is none. Time since we
 *     last stood at the end of the log is one, by our own clock. How long ago the last record applied was received is the
 *     other, by two machines' clocks; alone it would call a slot hours late that was quiet for hours.
 * G2. With everything applied that we know of, the slot is as far behind as the last answer about *its* partition is old:
 *     brokers of other slots may answer while this one's is away.
 */
export interface LagFacts {
  readonly lagRecords: bigint;
  /** When the broker last told us of this partition; null: never. */
  readonly answeredAtMonotonicMs: number | null;
  /** When the last record applied had arrived at ingest; 0: none was applied. */
  readonly lastReceivedAtNs: bigint;
  readonly monotonicMs: number;
  readonly nowMs: number;
}

/** A long poll in flight is answered as soon as there is something: silence for its length says that there is nothing. */
const pollMs = 1_000;

export class SlotLag {
  #atEndMonotonicMs: number | null = null;

  /** Everything that the log held at this moment is applied. */
  atEnd(monotonicMs: number): void {
    this.#atEndMonotonicMs = monotonicMs;
  }

  /** Null: nobody can say (G1). */
  lagMs(facts: LagFacts): number | null {
    const { lagRecords, answeredAtMonotonicMs, lastReceivedAtNs, monotonicMs, nowMs } = facts;
    if (lagRecords === 0n) {
      if (answeredAtMonotonicMs === null) return null;
      this.#atEndMonotonicMs = answeredAtMonotonicMs;
      const silentMs = monotonicMs - answeredAtMonotonicMs; // G2
      return silentMs <= pollMs ? 0 : Math.round(silentMs);
    }
    const bounds: number[] = [];
    if (this.#atEndMonotonicMs !== null) bounds.push(monotonicMs - this.#atEndMonotonicMs);
    if (lastReceivedAtNs !== 0n) bounds.push(nowMs - Number(lastReceivedAtNs / 1_000_000n));
    return bounds.length === 0 ? null : Math.max(0, Math.round(Math.min(...bounds)));
  }
}
