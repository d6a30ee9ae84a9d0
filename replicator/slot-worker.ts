import { formatPosition, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type Clock } from '../core/clock.ts';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type LogBatch } from '../core/kafka/log-reader.ts';
import { type Takeover } from '../core/kafka/slot-host.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type RecordPoint } from './apply.ts';
import { type ReplicatorMetrics } from './metrics.ts';
import { StateRestore } from './restore.ts';
import { SlotLag } from './slot-lag.ts';
import { type Applied, SlotReducer, type SlotReducerOptions } from './slot-reducer.ts';
import { SlotTable } from './slot-table.ts';
import { type StateWriter, unknownLagMs } from './state-writer.ts';
import { createTally } from './tally.ts';

/**
 * One slot's life in this process: restore its leaves from `state`, then apply `telemetry` from the committed offset on.
 *
 * W1. Nothing of `telemetry` is applied before `state` was read to an end that lies behind our own first record: from then
 *     on the partition is ours alone, so what was read is all there is.
 * W2. The committed offset is never past a record whose changes are not acked, an unfinished resync, or a delete that still
 *     holds updates back. What was applied before it is known by positions, not by the offset.
 * W3. Work is cut into slices: heartbeats of the lock run on the same event loop.
 * W4. Changes are conflated only while the slot is behind or Kafka takes no more, and never wait at the end of the log.
 */
export interface PartitionReader {
  assign(topic: string, partition: number, from: 'earliest' | bigint): void;
  unassign(topic: string, partition: number): void;
  caughtUp(topic: string, partition: number, signal: AbortSignal): Promise<void>;
  lag(topic: string, partition: number): bigint | null;
  /** When the broker last told of the partition; null: never. */
  answeredAtMonotonicMs(topic: string, partition: number): number | null;
}

export interface SlotWorkerOptions {
  readonly slot: Slot;
  readonly takeover: Takeover;
  /** Full names. */
  readonly topics: { readonly state: string; readonly telemetry: string };
  readonly stateReader: PartitionReader;
  readonly telemetryReader: PartitionReader;
  readonly writer: StateWriter;
  readonly commit: (slot: Slot, nextOffset: bigint, applied: Position | null) => Promise<void>;
  readonly facts: SlotReducerOptions['facts'];
  readonly window: { readonly windowNs: bigint; readonly entriesMax: number };
  readonly futureLimitNs: bigint | null;
  readonly metrics: ReplicatorMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Longest run without giving the event loop a turn: far below the lease's guard. */
const sliceMs = 5;
/** Leaves restored without giving it one: some milliseconds. */
const fillAtOnce = 1_000;
/** A record that waited for longer since ingest received it shows that the slot is behind. By two machines' clocks: where
 * they differ by more, too much or too little is conflated, and nothing else follows from it. */
const behindMs = 1_000;

export class SlotWorker {
  readonly #options: SlotWorkerOptions;
  readonly #stopping = new AbortController();
  readonly #table: SlotTable;
  readonly #tally = createTally();
  readonly #limited = new RateLimited();
  #restore = new StateRestore();
  #reducer: SlotReducer | null = null;
  /** First offset of `telemetry` not yet applied; null before the first record. */
  #nextOffset: bigint | null = null;
  #committedOffset: bigint;
  readonly #lag = new SlotLag();
  #lagMs: number | null = null;
  #applying: Promise<void> = Promise.resolve();
  #committing: Promise<void> | null = null;

  constructor(options: SlotWorkerOptions) {
    this.#options = options;
    this.#committedOffset = options.takeover.committedOffset;
    this.#table = new SlotTable(options.window);
  }

  get leafCount(): number {
    return this.#table.leafCount;
  }

  /** How far this slot's state is, and how far behind; null while restoring. */
  progress(): { readonly position: Position | null; readonly lagMs: number } | null {
    return this.#reducer === null ? null : { position: this.#reducer.complete, lagMs: this.#lagMs ?? unknownLagMs };
  }

  /** Restored and following. */
  get isFollowing(): boolean {
    return this.#reducer !== null;
  }

  /** Reads `state` to its end, then begins to follow `telemetry`. Resolves then, or when the worker was stopped. */
  async start(): Promise<void> {
    const { slot, topics, stateReader, telemetryReader, clock, logger, metrics } = this.#options;
    const startedAtMonotonicMs = clock.monotonicMs();
    try {
      stateReader.assign(topics.state, slot, 'earliest');
      await stateReader.caughtUp(topics.state, slot, this.#stopping.signal); // W1
    } catch (thrown) {
      if (!this.#stopping.signal.aborted) throw thrown;
    }
    if (this.#stopping.signal.aborted) return; // the partitions may be another worker's by now
    stateReader.unassign(topics.state, slot);
    while (this.#restore.fill(this.#table, fillAtOnce)) {
      await new Promise((resolve) => setImmediate(resolve)); // W3
      if (this.#isStopped()) return;
    }
    const { position, heal } = this.#restore;
    const restoreMs = clock.monotonicMs() - startedAtMonotonicMs;
    metrics.restoreSeconds.set(restoreMs / 1_000);
    if (heal.length > 0) {
      this.#orLose(() => this.#options.writer.heal(heal));
      if (this.#isStopped()) return;
      metrics.healed.inc(heal.length);
    }
    if (this.#restore.malformed > 0) logger.warn({ slot, records: this.#restore.malformed }, 'state records skipped');
    const { facts, futureLimitNs } = this.#options;
    this.#reducer = new SlotReducer({
      slot,
      table: this.#table,
      facts,
      tally: this.#tally,
      futureLimitNs,
      restored: position,
      onDefect: (point, device, thrown) => this.#sayDefect(point, device, thrown),
    });
    this.#restore = new StateRestore(); // what it still holds is not needed any more
    logger.debug({ slot, leaves: this.leafCount, restoreMs, healed: heal.length }, 'slot restored');
    telemetryReader.assign(topics.telemetry, slot, this.#committedOffset);
    // Readers wait for the first word on how far we are; the rest comes once a second.
    telemetryReader.caughtUp(topics.telemetry, slot, this.#stopping.signal).then(
      () => this.tick(),
      () => undefined,
    );
  }

  /** Records of `state`, while restoring. */
  onState(batch: LogBatch): void {
    for (const record of batch.records) this.#restore.add(record);
  }

  /** `state` is read anew from its beginning: what was read before may have been compacted away since. */
  onStateReset(): void {
    this.#restore = new StateRestore();
  }

  /** Records of `telemetry`; resolves when they are applied and what is on its way to `state` is within its bound. */
  onTelemetry(batch: LogBatch): Promise<void> {
    const reducer = this.#reducer;
    if (reducer === null || this.#stopping.signal.aborted) return Promise.resolve();
    this.#applying = this.#apply(reducer, batch);
    return this.#applying;
  }

  /** `telemetry` no longer holds the offset we wanted: what lay between is lost to us. */
  onTelemetryReset(): void {
    const { slot, logger } = this.#options;
    if (this.#nextOffset === null && this.#committedOffset === 0n) return; // never read before: the log just begins later
    this.#table.holed();
    logger.warn({ slot, wantedOffset: this.#nextOffset ?? this.#committedOffset }, 'telemetry offset no longer kept');
  }

  /** Once a second: how far `state` is, and how much was counted. */
  tick(): void {
    const reducer = this.#reducer;
    if (reducer === null || this.#stopping.signal.aborted) return;
    const { slot, topics, telemetryReader, writer, metrics, clock } = this.#options;
    this.#orLose(() => writer.settle()); // before counts are taken: what is left out of a window was counted as stored
    if (this.#isStopped()) return;
    metrics.take(this.#tally, reducer.records);
    const lagRecords = telemetryReader.lag(topics.telemetry, slot);
    if (lagRecords === null) return; // not one answer yet: nothing to say about freshness
    metrics.lagRecords.set({ slot }, Number(lagRecords));
    this.#lagMs = this.#lag.lagMs({
      lagRecords,
      answeredAtMonotonicMs: telemetryReader.answeredAtMonotonicMs(topics.telemetry, slot),
      lastReceivedAtNs: reducer.lastReceivedAtNs,
      monotonicMs: clock.monotonicMs(),
      nowMs: clock.nowMs(),
    });
    const lagMs = this.#lagMs;
    if (lagMs === null) return;
    metrics.lagSeconds.set({ slot }, lagMs / 1_000);
    this.#orLose(() => writer.mark(reducer.complete, { reason: '', lagMs, nowNs: clock.nowNs() }));
  }

  /** Commits where a successor would start, if that has moved (W2). One at a time; failures are tried again by the next. */
  commit(): Promise<void> {
    return (this.#committing ??= this.#commitOnce()
      .catch((thrown: unknown) => {
        this.#options.metrics.commits.inc({ outcome: 'failed' });
        if (this.#stopping.signal.aborted) return;
        this.#options.logger.debug({ slot: this.#options.slot, cause: messageOf(thrown) }, 'commit failed');
      })
      .finally(() => {
        this.#committing = null;
      }));
  }

  /** Stops reading, writes down how far it got, commits. Resolves when all of it is acked or refused. */
  async release(signal: AbortSignal): Promise<void> {
    const { slot, topics, telemetryReader, stateReader, writer, logger } = this.#options;
    this.tick();
    this.#stopping.abort(new Error('the slot is released'));
    telemetryReader.unassign(topics.telemetry, slot);
    stateReader.unassign(topics.state, slot);
    await this.#applying.catch(() => undefined);
    try {
      await writer.flushed(signal);
      await this.#committing;
      await this.#commitAt(signal);
    } catch (thrown) {
      if (!signal.aborted) logger.warn({ slot, cause: messageOf(thrown) }, 'slot released without a last commit');
    }
    this.#forget();
  }

  /** The slot is lost: nothing is read or written any more when this returns. */
  drop(): void {
    if (this.#stopping.signal.aborted) return; // released: its partitions may be another worker's by now
    const { slot, topics, telemetryReader, stateReader } = this.#options;
    this.#stopping.abort(new Error('the slot is lost'));
    telemetryReader.unassign(topics.telemetry, slot);
    stateReader.unassign(topics.state, slot);
    this.#forget();
  }

  async #apply(reducer: SlotReducer, batch: LogBatch): Promise<void> {
    const { writer, clock, slot, topics, telemetryReader } = this.#options;
    let sliceEndMs = clock.monotonicMs() + sliceMs;
    let nowMs = clock.nowMs();
    for (const record of batch.records) {
      const applied = reducer.apply(record);
      if (applied !== null) this.#write(applied, record.key?.toString('utf8') ?? '', nowMs);
      if (this.#isStopped()) return;
      this.#nextOffset = record.offset + 1n;
      if (writer.mustWait && !(await this.#hasRoom())) return;
      if (clock.monotonicMs() < sliceEndMs) continue;
      await new Promise((resolve) => setImmediate(resolve)); // W3
      if (this.#isStopped()) return;
      sliceEndMs = clock.monotonicMs() + sliceMs;
      nowMs = clock.nowMs();
    }
    this.#nextOffset = batch.nextOffset;
    if (batch.nextOffset < batch.highWatermark) return;
    this.#lag.atEnd(telemetryReader.answeredAtMonotonicMs(topics.telemetry, slot) ?? clock.monotonicMs());
    this.#orLose(() => writer.settle()); // W4
    if (writer.mustWait) await this.#hasRoom();
  }

  #write({ point, changed }: Applied, device: string, nowMs: number): void {
    const { writer } = this.#options;
    const isBehind = nowMs - Number(point.receivedAtNs / 1_000_000n) > behindMs;
    this.#orLose(() => {
      if (!isBehind && !writer.isFull) {
        writer.write(point, changed, device);
        return;
      }
      const coalesced = writer.collect(point, changed, device); // W4
      this.#tally.stored -= coalesced;
      this.#tally.discarded.coalesced += coalesced;
    });
  }

  /** A call, because the compiler takes a property that it saw false for false ever after. */
  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** False: the slot was lost or released meanwhile. */
  async #hasRoom(): Promise<boolean> {
    try {
      await this.#options.writer.room(this.#stopping.signal);
      return true;
    } catch {
      this.drop();
      return false;
    }
  }

  #sayDefect({ epoch, seq }: RecordPoint, device: string, thrown: unknown): void {
    const { slot, metrics, clock, logger } = this.#options;
    metrics.defects.inc();
    const suppressed = this.#limited.pass('defect', clock.monotonicMs());
    if (suppressed === undefined) return;
    const fields = { device, position: formatPosition({ slot, epoch, seq }), cause: messageOf(thrown), suppressed };
    logger.error(fields, 'record skipped, our own code failed on it');
  }

  /** A writer that takes no more has lost the slot: the lock hears of it by itself, the worker only has to be silent. */
  #orLose(append: () => void): void {
    try {
      append();
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError)) throw thrown;
      this.drop();
    }
  }

  #commitOnce(): Promise<void> {
    return this.#commitAt(this.#stopping.signal);
  }

  async #commitAt(signal: AbortSignal): Promise<void> {
    const { slot, writer, commit, metrics } = this.#options;
    const reducer = this.#reducer;
    const applied = this.#nextOffset;
    if (reducer === null || applied === null) return;
    const needed = reducer.neededFrom();
    const nextOffset = needed !== null && needed < applied ? needed : applied;
    if (nextOffset === this.#committedOffset) return;
    const position = reducer.complete;
    await writer.flushed(signal);
    await commit(slot, nextOffset, position);
    this.#committedOffset = nextOffset;
    metrics.commits.inc({ outcome: 'done' });
  }

  #forget(): void {
    const { metrics, slot } = this.#options;
    if (this.#reducer !== null) metrics.take(this.#tally, this.#reducer.records);
    metrics.lagRecords.remove({ slot });
    metrics.lagSeconds.remove({ slot });
  }
}
