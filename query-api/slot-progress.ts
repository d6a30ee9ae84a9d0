/**
 * How far this instance is in one slot of `state`: the positions it has applied, and how far it may be behind.
 *
 * F1. Staleness = time since a `|slot` marker was received, by our own clock, + the marker's `lag_ms`.
 * F2. A marker counts from the moment it can at the latest have been written: one that arrives while we are behind the
 *     end of the log counts from the last moment at which we were at the end; one read while loading does not count.
 * F3. `complete` never lies inside a position: records of the highest position may still follow, so it counts as
 *     complete only once a higher one, or a marker, has been seen.
 */
import { type Position, comparePositions } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type SlotFreshness } from './select.ts';

interface Seen {
  readonly epoch: bigint;
  readonly seq: bigint;
}

export class SlotProgress {
  readonly slot: Slot;
  #highest: Seen | null = null;
  #previous: Seen | null = null;
  #complete: Position | null = null;
  /** Monotonic moment at which we last stood at the end of the log; `null` while loading. */
  #atEndMonotonicMs: number | null = null;
  #marker: { countsFromMonotonicMs: number | null; lagMs: number; writtenAtMs: number } | null = null;
  #loadedAtMonotonicMs: number | null = null;

  constructor(slot: Slot) {
    this.slot = slot;
  }

  /** The slot's partition was read to the end that it had when reading began. */
  loaded(monotonicMs: number): void {
    this.#loadedAtMonotonicMs ??= monotonicMs;
    this.#atEndMonotonicMs ??= monotonicMs;
  }

  get isLoaded(): boolean {
    return this.#loadedAtMonotonicMs !== null;
  }

  /** A leaf record or tombstone was applied. Hot: one call per record. */
  record(epoch: bigint, seq: bigint): void {
    const highest = this.#highest;
    if (highest !== null) {
      if (epoch < highest.epoch || (epoch === highest.epoch && seq <= highest.seq)) return;
      this.#previous = highest; // F3
    }
    this.#highest = { epoch, seq };
  }

  /** A `|slot` marker was read. */
  marker(
    at: { epoch: bigint; seq: bigint; lagMs: number; writtenAtMs: number },
    monotonicMs: number,
    atEnd: boolean,
  ): void {
    const position = { slot: this.slot, epoch: at.epoch, seq: at.seq };
    this.record(at.epoch, at.seq);
    if (this.#complete === null || comparePositions(position, this.#complete) > 0) this.#complete = position;
    const countsFromMonotonicMs = this.#atEndMonotonicMs === null ? null : atEnd ? monotonicMs : this.#atEndMonotonicMs; // F2
    this.#marker = { countsFromMonotonicMs, lagMs: at.lagMs, writtenAtMs: at.writtenAtMs };
  }

  /** A fetched batch was applied whole; `atEnd`: nothing was behind it in the log when it was fetched. */
  applied(monotonicMs: number, atEnd: boolean): void {
    if (atEnd && this.#atEndMonotonicMs !== null) this.#atEndMonotonicMs = monotonicMs;
  }

  /** Everything up to here has been applied; `null` before the first marker or second position. */
  get complete(): Position | null {
    const previous = this.#previous;
    if (previous !== null) {
      const position = { slot: this.slot, epoch: previous.epoch, seq: previous.seq };
      if (this.#complete === null || comparePositions(position, this.#complete) > 0) this.#complete = position;
      this.#previous = null;
    }
    return this.#complete;
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
