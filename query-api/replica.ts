/**
 * This instance's copy of the topic `state`: reads every slot from its beginning, applies each record to the store, and
 * knows per slot how far it is.
 *
 * R1. A batch is applied as a whole within one turn of the event loop, so no answer shows half of it.
 * R2. A record that cannot be read is counted and left out; the rest of its batch counts.
 * R3. A slot whose log was cut off below us is forgotten and read anew, and answers for it wait until that is done.
 */
import { isAbort, manyWaits } from '../core/abort.ts';
import { type Clock, type Timer } from '../core/clock.ts';
import { type HoldfastError, messageOf } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { type LogBatch, LogReader, type LogRecord } from '../core/kafka/log-reader.ts';
import { type Component } from '../core/lifecycle.ts';
import { RateLimited, type Logger } from '../core/logger.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { type SlotFreshness } from './select.ts';
import { SlotProgress } from './slot-progress.ts';
import { decodeStateRecord } from './state-record.ts';
import { MapStore, type StoreView } from './store.ts';

/** What answers need of the replica. */
export interface StateView {
  readonly store: StoreView;
  freshness(slot: Slot): SlotFreshness;
  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null;
  /** Waits until all `positions` have been applied; false after `waitMs`. Rejects when `signal` aborts. */
  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface ReplicaOptions {
  readonly kafka: KafkaOptions;
  /** Full name of the topic `state`. */
  readonly topic: string;
  readonly slots: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'recordsApplied' | 'recordsDiscarded'>;
  /** Reading has ended for good; the process should. */
  readonly onFatal: (error: HoldfastError) => void;
}

/** Late records of a displaced writer come within a session timeout; two sweeps are twice that and more. */
const sweepMs = 120_000;

export class Replica implements Component, StateView {
  readonly name = 'state replica';
  readonly store = new MapStore();
  readonly #options: ReplicaOptions;
  #progress: readonly SlotProgress[];
  readonly #reader: LogReader;
  readonly #waiting = new Set<() => void>();
  readonly #malformedLines = new RateLimited();
  readonly #stopping = new AbortController();
  #sweeper: Timer | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#progress = Array.from({ length: options.slots }, (_, slot) => new SlotProgress(slot));
    this.#reader = new LogReader({
      kafka: options.kafka,
      name: this.name,
      onBatch: (batch) => this.apply(batch),
      onOutOfRange: (_topic, partition) => this.#startOver(partition),
      onFatal: options.onFatal,
      logger: options.logger,
      clock: options.clock,
    });
  }

  /** Resolves when every slot has been read to its end. */
  async start(signal: AbortSignal): Promise<void> {
    const { topic, slots, clock, logger } = this.#options;
    const startedMonotonicMs = clock.monotonicMs();
    this.#sweeper = clock.every(sweepMs, () => this.store.sweepTombstones());
    await this.#reader.start(signal);
    for (let slot = 0; slot < slots; slot += 1) this.#reader.assign(topic, slot, 'earliest');
    const until = manyWaits(AbortSignal.any([signal, this.#stopping.signal])); // one per slot
    await Promise.all(Array.from({ length: slots }, (_, slot) => this.#load(slot, until)));
    const seconds = ((clock.monotonicMs() - startedMonotonicMs) / 1000).toFixed(1);
    logger.info({ slots, leaves: this.store.size, seconds: Number(seconds) }, 'state loaded');
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('state replica stopped'));
    this.#sweeper?.cancel();
    await this.#reader.stop();
  }

  async #load(slot: Slot, signal: AbortSignal): Promise<void> {
    for (;;) {
      const progress = this.#progress[slot];
      try {
        await this.#reader.caughtUp(this.#options.topic, slot, signal);
      } catch (thrown) {
        if (signal.aborted || progress === this.#progress[slot]) throw thrown;
        continue; // R3: it was assigned anew meanwhile
      }
      if (progress !== this.#progress[slot]) continue;
      progress?.loaded(this.#options.clock.monotonicMs());
      this.#wake();
      return;
    }
  }

  /** R3. */
  #startOver(slot: Slot): void {
    this.#options.logger.warn({ slot }, 'slot of state reads anew');
    const wasLoaded = this.#progress[slot]?.isLoaded ?? false;
    this.store.clearSlot(slot);
    this.#progress = this.#progress.with(slot, new SlotProgress(slot));
    this.#reader.assign(this.#options.topic, slot, 'earliest');
    if (!wasLoaded) return; // whoever loads it goes on
    this.#load(slot, this.#stopping.signal).catch((thrown: unknown) => {
      if (isAbort(thrown, this.#stopping.signal)) return;
      this.#options.logger.error({ slot, cause: messageOf(thrown) }, 'slot of state not read');
    });
  }

  /** Applies one fetched batch (R1). Public for the reader, and for tests without one. */
  apply(batch: Pick<LogBatch, 'partition' | 'records' | 'nextOffset' | 'highWatermark'>): void {
    const progress = this.#progress[batch.partition];
    if (progress === undefined) return;
    const monotonicMs = this.#options.clock.monotonicMs();
    const atEnd = batch.nextOffset >= batch.highWatermark;
    let applied = 0;
    for (const record of batch.records) {
      try {
        if (this.#applyRecord(record, progress, monotonicMs, atEnd)) applied += 1;
      } catch (thrown) {
        this.#malformed(record, batch.partition, thrown); // R2
      }
    }
    this.#options.metrics.recordsApplied.inc(applied);
    progress.applied(monotonicMs, atEnd);
    this.#wake();
  }

  #applyRecord(record: LogRecord, progress: SlotProgress, monotonicMs: number, atEnd: boolean): boolean {
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
    if (outcome === 'superseded') this.#options.metrics.recordsDiscarded.inc({ reason: 'superseded' });
    else progress.record(header.epoch, header.seq);
    return outcome !== 'superseded';
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

  freshness(slot: Slot): SlotFreshness {
    const { clock } = this.#options;
    const progress = this.#progress[slot];
    if (progress === undefined) return { kind: 'incomplete', reason: 'there is no such slot' };
    return progress.freshness(clock.monotonicMs(), clock.nowMs());
  }

  complete(slot: Slot): Position | null {
    return this.#progress[slot]?.complete ?? null;
  }

  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean> {
    const done = (): boolean =>
      positions.every((position) => this.#progress[position.slot]?.reached(position) ?? false);
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
    for (const { slot } of this.#progress) {
      const freshness = this.freshness(slot);
      if (freshness.kind === 'absent') continue;
      if (freshness.kind === 'incomplete') return null;
      worst = Math.max(worst, freshness.stalenessMs);
    }
    return Math.ceil(worst);
  }

  /** A broker has answered within the last seconds. */
  get kafkaOk(): boolean {
    return this.#reader.kafkaOk;
  }

  slotsCaughtUp(): number {
    return this.#progress.filter((progress) => progress.isLoaded).length;
  }
}
