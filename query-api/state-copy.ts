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
import { type SlotFreshness } from './select.ts';
import { SlotFeed } from './slot-feed.ts';
import { SlotProgress } from './slot-progress.ts';
import { type StateListener } from './state-feed.ts';
import { decodeStateRecord } from './state-record.ts';

export type SlotBatch = Pick<LogBatch, 'partition' | 'records' | 'nextOffset' | 'highWatermark'>;

export interface StateCopyOptions {
  readonly slots: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'recordsApplied' | 'recordsDiscarded'>;
}

interface CopiedSlot {
  progress: SlotProgress;
  readonly feed: SlotFeed;
}

export class StateCopy {
  readonly store = new LeafStore();
  readonly #options: StateCopyOptions;
  readonly #slots: readonly CopiedSlot[];
  readonly #waiting = new Set<() => void>();
  readonly #malformedLines = new RateLimited();

  constructor(options: StateCopyOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, (_, slot) => ({
      progress: new SlotProgress(slot),
      feed: new SlotFeed(slot),
    }));
  }

  /** Applies one fetched batch (R1). */
  apply(batch: SlotBatch): void {
    const copied = this.#slots[batch.partition];
    if (copied === undefined) return;
    const { progress, feed } = copied;
    const monotonicMs = this.#options.clock.monotonicMs();
    const atEnd = batch.nextOffset >= batch.highWatermark;
    let applied = 0;
    for (const record of batch.records) {
      try {
        if (this.#applyRecord(record, copied, monotonicMs, atEnd)) applied += 1;
      } catch (thrown) {
        this.#malformed(record, batch.partition, thrown); // R2
      }
    }
    this.#options.metrics.recordsApplied.inc(applied);
    progress.applied(monotonicMs, atEnd);
    feed.tell(progress.complete, progress.unfinished);
    this.#wake();
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
      feed.take(leafChange(this.store.paths, progress.slot, state));
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

  /** Forgets a slot: it is read anew. Its listeners are told. */
  reset(slot: Slot): void {
    const copied = this.#slots[slot];
    if (copied === undefined) return;
    this.store.clearSlot(slot);
    copied.progress = new SlotProgress(slot);
    copied.feed.reset();
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
    const progress = this.#slots[slot]?.progress;
    if (progress === undefined) return { kind: 'incomplete', reason: 'there is no such slot' };
    return progress.freshness(clock.monotonicMs(), clock.nowMs());
  }

  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null {
    return this.#slots[slot]?.progress.complete ?? null;
  }

  /** Waits until all `positions` have been applied; false after `waitMs`. Rejects when `signal` aborts. */
  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean> {
    const done = (): boolean =>
      positions.every((position) => this.#slots[position.slot]?.progress.reached(position) ?? false);
    if (done()) return Promise.resolve(true);
    if (waitMs === 0) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        timer.cancel();
        this.#waiting.delete(check);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const check = (): void => {
        if (done()) end(() => resolve(true));
      };
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const timer = this.#options.clock.after(waitMs, () => end(() => resolve(false)));
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
