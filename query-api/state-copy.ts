/**
 * A copy of `state` in memory: the leaves, how far each slot is, and who hears of its changes. Knows nothing of Kafka.
 *
 * R1. A batch is applied as a whole within one turn of the event loop, so no answer shows half of it, and who listens
 *     hears of it in that turn (F1 of state-feed.ts).
 * R2. A record that cannot be read is counted and left out; the rest of its batch counts.
 */
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type LogBatch, type LogRecord } from '../core/kafka/log-reader.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { leafChange } from './leaf-change.ts';
import { LeafStore } from './leaf-store.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { PositionIndex, type PositionIndexOptions } from './position-index.ts';
import { type SlotPlace } from './replays.ts';
import { type SlotFreshness } from './slot-freshness.ts';
import { SlotFeed } from './slot-feed.ts';
import { type SlotPlaceSaved } from './slot-head.ts';
import { SlotProgress } from './slot-progress.ts';
import { type StateListener } from './state-feed.ts';
import { decodeStateRecord } from './state-record.ts';

export type SlotBatch = Pick<LogBatch, 'partition' | 'records' | 'nextOffset' | 'highWatermark'>;

export interface StateCopyOptions {
  readonly slots: number;
  /** How long the log keeps every value, as far as we know: the position index reaches so far back. */
  readonly resumeWindowMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'recordsApplied' | 'recordsDiscarded'>;
}

interface CopiedSlot {
  readonly isHeld: boolean;
  readonly feed: SlotFeed;
  readonly progress: SlotProgress;
  readonly index: PositionIndex;
  /** First offset not applied; null before the first batch. */
  nextOffset: bigint | null;
  /** The latest record timestamp that was seen. */
  logTimeMs: number;
}

/** Enough for a resume window of ten minutes to be found to about 300 ms. */
const indexEntriesMax = 4_096;

export class StateCopy {
  readonly store = new LeafStore();
  readonly #options: StateCopyOptions;
  readonly #slots: CopiedSlot[];
  readonly #resets: number[];
  readonly #waiting = new Set<() => void>();
  readonly #malformedLines = new RateLimited();

  constructor(options: StateCopyOptions) {
    this.#options = options;
    this.#resets = Array.from({ length: options.slots }, () => 0);
    this.#slots = Array.from({ length: options.slots }, (_, slot) => this.#newSlot(slot, new SlotFeed(slot), true));
  }

  get #indexOptions(): PositionIndexOptions {
    return { entriesMax: indexEntriesMax, windowMs: this.#options.resumeWindowMs };
  }

  #newSlot(slot: Slot, feed: SlotFeed, isHeld: boolean, index = new PositionIndex(this.#indexOptions)): CopiedSlot {
    const progress = new SlotProgress(slot, (last) => index.ended(last));
    return { isHeld, feed, progress, index, nextOffset: null, logTimeMs: 0 };
  }

  /** Applies one fetched batch (R1). */
  apply(batch: SlotBatch): void {
    const copied = this.#slots[batch.partition];
    if (copied?.isHeld !== true) return;
    const { progress, feed } = copied;
    const monotonicMs = this.#options.clock.monotonicMs();
    const atEnd = batch.nextOffset >= batch.highWatermark;
    let applied = 0;
    for (const record of batch.records) {
      copied.logTimeMs = Math.max(copied.logTimeMs, record.timestampMs);
      try {
        if (this.#applyRecord(record, copied, monotonicMs, atEnd)) applied += 1;
      } catch (thrown) {
        this.#malformed(record, batch.partition, thrown); // R2
      }
    }
    this.#options.metrics.recordsApplied.inc(applied);
    progress.applied(monotonicMs, atEnd);
    copied.nextOffset = batch.nextOffset;
    this.#noteInIndex(copied, batch.nextOffset);
    feed.tell(progress.complete, progress.unfinished);
    this.#wake();
  }

  #noteInIndex({ progress, index, logTimeMs }: CopiedSlot, nextOffset: bigint): void {
    const { complete, unfinished } = progress;
    if (complete === null || unfinished !== null) return; // X1 of position-index.ts
    index.add({ epoch: complete.epoch, seq: complete.seq, nextOffset, logTimeMs }, this.#options.clock.nowMs());
  }

  #applyRecord(record: LogRecord, { progress, feed }: CopiedSlot, monotonicMs: number, atEnd: boolean): boolean {
    const state = decodeStateRecord(record);
    if (state.kind === 'nothing') return false;
    const { header } = state;
    if (state.kind === 'marker') {
      const { lagMs } = state.marker;
      const at = { epoch: header.epoch, seq: header.seq, lagMs, writtenAtMs: record.timestampMs };
      progress.marker(at, monotonicMs, atEnd);
      return true;
    }
    const outcome = this.store.apply(progress.slot, state.device, state.key, state.leaf, header);
    if (outcome === 'superseded') {
      this.#options.metrics.recordsDiscarded.inc({ reason: 'superseded' });
      return false;
    }
    const more = header.more === true;
    progress.record(header.epoch, header.seq, more);
    if (outcome !== 'repeated' && (more || feed.isHeard)) {
      const was = { isSameValue: outcome === 'refreshed', formerly: this.store.former() };
      feed.take(leafChange(this.store, progress.slot, state, was));
    }
    return true;
  }

  #malformed(record: LogRecord, slot: Slot, thrown: unknown): void {
    this.#options.metrics.recordsDiscarded.inc({ reason: 'malformed' });
    const suppressed = this.#malformedLines.pass('malformed', this.#options.clock.monotonicMs());
    if (suppressed === undefined) return;
    const fields = { slot, offset: record.offset.toString(), cause: messageOf(thrown), suppressed };
    this.#options.logger.warn(fields, 'record of state discarded');
  }

  #wake(): void {
    for (const check of this.#waiting) check();
  }

  /** The slot has been read to the end that it had when reading began. */
  loaded(slot: Slot): void {
    this.#slots[slot]?.progress.loaded(this.#options.clock.monotonicMs());
    this.#wake();
  }

  isLoaded(slot: Slot): boolean {
    return this.#slots[slot]?.progress.isLoaded ?? false;
  }

  /** Where the slot's copy stands, for a snapshot; null: it is not read to its end, or half of a position is. */
  saved(slot: Slot): SlotPlaceSaved | null {
    const copied = this.#slots[slot];
    if (copied?.isHeld !== true || !copied.progress.isLoaded) return null;
    const { progress, index, nextOffset, logTimeMs } = copied;
    const { complete, unfinished, lastMarker: marker } = progress;
    if (nextOffset === null || complete === null || unfinished !== null) return null;
    return { nextOffset, logTimeMs, epoch: complete.epoch, seq: complete.seq, marker, index: index.encode() };
  }

  /** The store has the slot's leaves from a snapshot, and reading goes on at its place. Throws RecordMalformed. */
  restore(slot: Slot, place: SlotPlaceSaved): void {
    const copied = this.#slots[slot];
    if (copied === undefined) return;
    const index = PositionIndex.decode(place.index, this.#indexOptions);
    const restored = this.#newSlot(slot, copied.feed, copied.isHeld, index);
    restored.progress.restore(place, place.marker);
    restored.nextOffset = place.nextOffset;
    restored.logTimeMs = place.logTimeMs;
    this.#slots[slot] = restored;
  }

  /** Forgets a slot: it is read anew, and held from now on if it was not. Its listeners are told. */
  reset(slot: Slot): void {
    this.#forget(slot, true);
  }

  /** Forgets a slot that is not held any more. Its listeners are told. */
  drop(slot: Slot): void {
    this.#forget(slot, false);
  }

  #forget(slot: Slot, isHeld: boolean): void {
    const copied = this.#slots[slot];
    if (copied === undefined) return;
    this.#resets[slot] = this.resets(slot) + 1;
    this.store.clearSlot(slot);
    this.#slots[slot] = this.#newSlot(slot, copied.feed, isHeld);
    copied.feed.reset();
  }

  /** Where the slot stands in its log, for replays; null before it was read to its end. */
  place(slot: Slot): SlotPlace | null {
    const copied = this.#slots[slot];
    if (copied === undefined) return null;
    const { progress, index, nextOffset } = copied;
    const { complete } = progress;
    return complete === null || nextOffset === null || !progress.isLoaded ? null : { index, complete, nextOffset };
  }

  /** See `StateFeed`. */
  listen(listener: StateListener, slots?: readonly Slot[]): () => void {
    const feeds = (slots?.map((slot) => this.#slots[slot]) ?? this.#slots).flatMap((copied) => copied?.feed ?? []);
    for (const feed of feeds) feed.join(listener);
    return () => {
      for (const feed of feeds) feed.leave(listener);
    };
  }

  freshness(slot: Slot): SlotFreshness {
    const { clock } = this.#options;
    const copied = this.#slots[slot];
    if (copied === undefined) return { kind: 'incomplete', reason: 'there is no such slot' };
    if (!copied.isHeld) return { kind: 'absent' };
    return copied.progress.freshness(clock.monotonicMs(), clock.nowMs());
  }

  /** How often the slot was forgotten. Who reads it over several turns compares: leaves have gone unsaid if it differs. */
  resets(slot: Slot): number {
    return this.#resets[slot] ?? 0;
  }

  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null {
    return this.#slots[slot]?.progress.complete ?? null;
  }

  /** Waits until all `positions` have been applied; false after `waitMs`. Rejects when `signal` aborts. */
  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean> {
    const done = (): boolean =>
      positions.every((position) => this.#slots[position.slot]?.progress.reached(position) ?? false);
    return this.until(done, waitMs, signal);
  }

  /** Waits until `done`, asked again whenever the copy has changed; false after `waitMs` (null: waits on). */
  until(done: () => boolean, waitMs: number | null, signal: AbortSignal): Promise<boolean> {
    if (done()) return Promise.resolve(true);
    if (waitMs === 0) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        timer?.cancel();
        this.#waiting.delete(check);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const check = (): void => {
        if (done()) end(() => resolve(true));
      };
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const timer = waitMs === null ? null : this.#options.clock.after(waitMs, () => end(() => resolve(false)));
      if (signal.aborted) {
        onAbort();
        return;
      }
      this.#waiting.add(check);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Largest staleness of all slots, ms; `null` while one is unknown. */
  worstStalenessMs(): number | null {
    let worst = 0;
    for (const { progress } of this.#slots) {
      const freshness = this.freshness(progress.slot);
      if (freshness.kind === 'absent') continue;
      if (freshness.kind === 'incomplete') return null;
      worst = Math.max(worst, freshness.stalenessMs);
    }
    return Math.ceil(worst);
  }

  slotsLoaded(): number {
    return this.#slots.filter(({ progress }) => progress.isLoaded).length;
  }
}
