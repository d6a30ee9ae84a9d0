/**
 * How far this instance is in one slot of `state`: the positions it has applied, and how far it may be behind.
 *
 * F1. Staleness = time since a `|slot` marker was received, by our own clock, + the marker's `lag_ms`.
 * F2. A marker counts from the moment it can at the latest have been written: one that arrives while we are behind the
 *     end of the log counts from the last moment at which we were at the end; one read while loading does not count.
 * F3. `complete` never lies inside a position, and moves at the end of a batch only: all records of a position are in one
 *     batch, unless they say that more follow (H3 of schemas/position.ts). Then the one before it is the last whole one.
 */
import { type Position, comparePositions } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type SlotFreshness } from './slot-freshness.ts';
import { type Unfinished } from './slot-feed.ts';

export class SlotProgress {
  readonly slot: Slot;
  #highest: Unfinished | null = null;
  #previous: Unfinished | null = null;
  /** More records of the highest position follow. */
  #isCut = false;
  #complete: Position | null = null;
  /** Monotonic moment at which we last stood at the end of the log; `null` while loading. */
  #atEndMonotonicMs: number | null = null;
  #marker: { countsFromMonotonicMs: number | null; lagMs: number; writtenAtMs: number } | null = null;
  #loadedAtMonotonicMs: number | null = null;

  readonly #onEpochEnd: (last: Unfinished) => void;

  /** `onEpochEnd`: a record of a higher epoch came; `last` is the highest position of the one before. */
  constructor(slot: Slot, onEpochEnd: (last: Unfinished) => void = () => undefined) {
    this.slot = slot;
    this.#onEpochEnd = onEpochEnd;
  }

  /** The slot's partition was read to the end that it had when reading began. */
  loaded(monotonicMs: number): void {
    this.#loadedAtMonotonicMs ??= monotonicMs;
    this.#atEndMonotonicMs ??= monotonicMs;
  }

  get isLoaded(): boolean {
    return this.#loadedAtMonotonicMs !== null;
  }

  /** Where a snapshot was written: as if everything up to there had been read, and its marker while loading (F2). */
  restore(at: Unfinished, marker: { readonly lagMs: number; readonly writtenAtMs: number } | null): void {
    this.#highest = { epoch: at.epoch, seq: at.seq };
    this.#complete = { slot: this.slot, epoch: at.epoch, seq: at.seq };
    if (marker !== null) this.#marker = { countsFromMonotonicMs: null, ...marker };
  }

  /** What the last marker said. */
  get lastMarker(): { readonly lagMs: number; readonly writtenAtMs: number } | null {
    return this.#marker === null ? null : { lagMs: this.#marker.lagMs, writtenAtMs: this.#marker.writtenAtMs };
  }

  /** A leaf record or tombstone was applied. Hot: one call per record. */
  record(epoch: bigint, seq: bigint, more = false): void {
    const highest = this.#highest;
    if (highest !== null) {
      if (epoch < highest.epoch || (epoch === highest.epoch && seq < highest.seq)) return;
      if (epoch === highest.epoch && seq === highest.seq) {
        this.#isCut &&= more; // an earlier part may come once more, its last one has come all the same
        return;
      }
      this.#previous = highest;
      if (epoch !== highest.epoch) this.#onEpochEnd(highest);
    }
    this.#highest = { epoch, seq };
    this.#isCut = more;
  }

  /** A `|slot` marker was read. */
  marker(
    at: { epoch: bigint; seq: bigint; lagMs: number; writtenAtMs: number },
    monotonicMs: number,
    atEnd: boolean,
  ): void {
    // Said at a takeover, when the displaced writer had not come to the end of its last position, it does not end that one.
    this.record(at.epoch, at.seq, this.#isCut && at.epoch === this.#highest?.epoch && at.seq === this.#highest.seq);
    const countsFromMonotonicMs = this.#atEndMonotonicMs === null ? null : atEnd ? monotonicMs : this.#atEndMonotonicMs; // F2
    this.#marker = { countsFromMonotonicMs, lagMs: at.lagMs, writtenAtMs: at.writtenAtMs };
  }

  /** A fetched batch was applied whole; `atEnd`: nothing was behind it in the log when it was fetched. */
  applied(monotonicMs: number, atEnd: boolean): void {
    if (atEnd && this.#atEndMonotonicMs !== null) this.#atEndMonotonicMs = monotonicMs;
    const whole = this.#isCut ? this.#previous : this.#highest; // F3
    this.#previous = null;
    if (whole === null) return;
    const position = { slot: this.slot, epoch: whole.epoch, seq: whole.seq };
    if (this.#complete === null || comparePositions(position, this.#complete) > 0) this.#complete = position;
  }

  /** Everything up to here has been applied; `null` before the first batch. */
  get complete(): Position | null {
    return this.#complete;
  }

  /** The position behind `complete` of which more records follow. */
  get unfinished(): Unfinished | null {
    return this.#isCut && !this.#isComplete(this.#highest) ? this.#highest : null;
  }

  #isComplete(seen: Unfinished | null): boolean {
    const complete = this.#complete;
    return seen === null || (complete !== null && comparePositions(complete, { slot: this.slot, ...seen }) >= 0);
  }

  /** True when everything up to `position` has been applied. */
  reached(position: Position): boolean {
    const complete = this.complete;
    if (complete !== null && comparePositions(complete, position) >= 0) return true;
    const highest = this.#highest;
    return highest !== null && comparePositions({ slot: this.slot, ...highest }, position) > 0;
  }

  freshness(monotonicMs: number, nowMs: number): SlotFreshness {
    if (this.#loadedAtMonotonicMs === null) return { kind: 'incomplete', reason: 'still being read' };
    const marker = this.#marker;
    if (marker === null) return { kind: 'incomplete', reason: 'no replicator has written it yet' };
    if (marker.countsFromMonotonicMs !== null) {
      return { kind: 'known', stalenessMs: monotonicMs - marker.countsFromMonotonicMs + marker.lagMs }; // F1
    }
    const sinceLoadedMs = monotonicMs - this.#loadedAtMonotonicMs;
    const sinceWrittenMs = Math.max(0, nowMs - marker.writtenAtMs);
    return { kind: 'estimated', stalenessMs: Math.max(sinceLoadedMs, sinceWrittenMs) + marker.lagMs };
  }
}
