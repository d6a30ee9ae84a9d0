/**
 * This instance's copy of the topic `state`: reads the slots that it holds, from their snapshots on or from their beginning,
 * and follows them.
 *
 *   log reader → StateCopy (store, progress, listeners) ; LogRange → replays ; LogWatch → which log it is
 *
 * R3. A slot whose log was cut off below us, or is another one now, is forgotten and read anew, and answers for it wait
 *     until that is done.
 */
import { isAbort, manyWaits } from '../core/abort.ts';
import { type Timer } from '../core/clock.ts';
import { type HoldfastError, messageOf } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { LogRange } from '../core/kafka/log-range.ts';
import { LogReader } from '../core/kafka/log-reader.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { LogWatch } from './log-watch.ts';
import { Replays } from './replays.ts';
import { type SlotFreshness } from './slot-freshness.ts';
import { WantedSlots } from './wanted-slots.ts';
import { type SnapshotFolder } from './snapshot-folder.ts';
import { type SnapshotLog, Snapshots } from './snapshots.ts';
import { type SlotBatch, StateCopy, type StateCopyOptions } from './state-copy.ts';
import { type Covers, type ReplayStart, type StateFeed, type StateListener } from './state-feed.ts';
import { type StoreView } from './store.ts';

/** What answers and streams need of the replica. */
export interface StateView {
  readonly store: StoreView;
  readonly feed: StateFeed;
  /** Of the log that all positions are of, for cursors; null while it is not known, and with brokers that have no topic ids. */
  readonly logTag: string | null;
  freshness(slot: Slot): SlotFreshness;
  /** How often the slot was forgotten. Who reads it over several turns compares: leaves have gone unsaid if it differs. */
  resets(slot: Slot): number;
  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null;
  /** Waits until all `positions` have been applied; false after `waitMs`. Rejects when `signal` aborts. */
  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface ReplicaOptions extends StateCopyOptions {
  readonly kafka: KafkaOptions;
  /** Full name of the topic `state`. */
  readonly topic: string;
  /** Which slots are held until `hold` says otherwise; default: all. */
  readonly holds?: 'all' | 'none';
  /** Default: 30 s. */
  readonly identityEveryMs?: number;
  /** Absent: none are read or written. */
  readonly snapshots?: { readonly folder: SnapshotFolder; readonly intervalMs: number };
  /** Reading has ended for good; the process should. */
  readonly onFatal: (error: HoldfastError) => void;
}

/** Late records of a displaced writer come within a session timeout; two sweeps are twice that and more. */
const sweepMs = 120_000;
const lingerMs = 60_000;
/** A marker comes every second; where none does there is no replicator, and nothing to wait for. */
const markerWaitMs = 2_500;

export class Replica implements Component, StateView, StateFeed {
  readonly name = 'state replica';
  readonly #options: ReplicaOptions;
  readonly #copy: StateCopy;
  readonly #wanted: WantedSlots;
  readonly #reader: LogReader;
  readonly #range: LogRange;
  readonly #replays: Replays;
  readonly #watch: LogWatch;
  readonly #snapshots: Snapshots | null;
  /** How often each slot was assigned to the reader or taken from it: what waits for a slot sees that. */
  readonly #rounds: number[];
  readonly #stopping = new AbortController();
  /** One wait per slot hangs on it. */
  readonly #stopped = manyWaits(this.#stopping.signal);
  #isReading = false;
  #sweeper: Timer | undefined;

  constructor(options: ReplicaOptions) {
    const { kafka, topic, slots, clock, logger } = options;
    this.#options = options;
    const all = Array.from({ length: slots }, (_, slot) => slot);
    this.#copy = new StateCopy(options);
    this.#rounds = all.map(() => 0);
    const own = new Set(options.holds === 'none' ? [] : all);
    for (const slot of all) if (!own.has(slot)) this.#copy.drop(slot);
    this.#wanted = new WantedSlots({
      slots,
      own,
      lingerMs,
      clock,
      acquire: (slot) => this.#acquire(slot),
      letGo: (slot) => this.#letGo(slot),
    });
    this.#reader = new LogReader({
      kafka,
      name: this.name,
      onBatch: (batch) => this.apply(batch),
      onOutOfRange: (_topic, partition) => {
        this.#startOver(partition);
        void this.#watch.check();
      },
      onFatal: options.onFatal,
      logger,
      clock,
    });
    this.#watch = new LogWatch({
      ...{ kafka, topic, resumeWindowMs: options.resumeWindowMs, clock, logger },
      ...(options.identityEveryMs === undefined ? {} : { everyMs: options.identityEveryMs }),
      onOtherLog: () => {
        for (const slot of this.#wanted.held) this.#startOver(slot);
      },
    });
    this.#snapshots = this.#createSnapshots();
    this.#range = new LogRange({ kafka, name: 'state replays', clock });
    this.#replays = new Replays({
      place: (slot) => this.#copy.place(slot),
      names: this.#copy.store,
      log: { read: (slot, from, signal) => this.#range.read(topic, slot, from, signal) },
      windowMs: () => this.#watch.resumeWindowMs,
      clock,
    });
  }

  /** Resolves when every slot that is held has been read to its end. */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const startedMonotonicMs = clock.monotonicMs();
    this.#sweeper = clock.every(sweepMs, () => this.#copy.store.sweepTombstones());
    await this.#watch.start(signal);
    await this.#reader.start(signal);
    this.#isReading = true;
    const held = [...this.#wanted.held];
    for (const slot of held) await this.#begin(slot);
    this.#snapshots?.sayRefused();
    this.#snapshots?.start();
    const until = manyWaits(AbortSignal.any([signal, this.#stopping.signal])); // one per slot
    await Promise.all(held.map((slot) => this.#load(slot, until)));
    const seconds = ((clock.monotonicMs() - startedMonotonicMs) / 1000).toFixed(1);
    logger.info({ slots: held.length, leaves: this.store.size, seconds: Number(seconds) }, 'state loaded');
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('state replica stopped'));
    this.#sweeper?.cancel();
    this.#wanted.stop();
    this.#watch.stop();
    this.#range.stop();
    await this.#reader.stop();
    await this.#snapshots?.stop();
  }

  #createSnapshots(): Snapshots | null {
    const { snapshots, slots, clock, logger } = this.#options;
    if (snapshots === undefined) return null;
    const log = (): SnapshotLog | null => {
      const known = this.#watch.log;
      if (known === null) return null;
      const { clusterId, topicId, deleteRetentionMs } = known;
      return { identity: { clusterId, topicId, slots }, deleteRetentionMs };
    };
    return new Snapshots({
      ...{ ...snapshots, store: this.#copy.store, log, clock, logger },
      place: (slot) => this.#copy.saved(slot),
      restored: (slot, place) => this.#copy.restore(slot, place),
    });
  }

  /** From now on these slots are the instance's own; others are let go, but for those that are borrowed. */
  hold(slots: ReadonlySet<Slot>): void {
    this.#wanted.hold(slots);
  }

  get held(): ReadonlySet<Slot> {
    return this.#wanted.held;
  }

  /**
   * Holds `slots` for as long as somebody needs them. Resolves, when they are read to their ends and a replicator has been
   * heard of or is not there, with the way to give them back. Rejects when `signal` aborts.
   */
  async borrow(slots: Iterable<Slot>, signal: AbortSignal): Promise<() => void> {
    const wanted = [...slots];
    const giveBack = this.#wanted.borrow(wanted);
    try {
      const either = AbortSignal.any([signal, this.#stopping.signal]);
      await this.#copy.until(() => wanted.every((slot) => this.#copy.isLoaded(slot)), null, either);
      const isKnown = (slot: Slot): boolean => this.#copy.freshness(slot).kind === 'known';
      await this.#copy.until(() => wanted.every(isKnown), markerWaitMs, either);
      return giveBack;
    } catch (thrown) {
      giveBack();
      throw thrown;
    }
  }

  #acquire(slot: Slot): void {
    this.#copy.reset(slot);
    this.#assign(slot, 'snapshot');
  }

  #letGo(slot: Slot): void {
    this.#bumpRound(slot);
    if (this.#isReading) this.#reader.unassign(this.#options.topic, slot);
    this.#copy.drop(slot);
  }

  /** R3. */
  #startOver(slot: Slot): void {
    if (!this.#wanted.held.has(slot)) return;
    this.#options.logger.warn({ slot }, 'slot of state reads anew');
    const wasLoaded = this.#copy.isLoaded(slot);
    this.#copy.reset(slot);
    if (wasLoaded) this.#assign(slot, 'beginning');
    else if (this.#isReading) {
      this.#bumpRound(slot);
      this.#reader.assign(this.#options.topic, slot, 'earliest'); // whoever loads it goes on
    }
  }

  /** Reads a slot, once reading has begun at all: from its snapshot on or, if that is of a log before, from its beginning. */
  #assign(slot: Slot, from: 'snapshot' | 'beginning'): void {
    this.#bumpRound(slot);
    if (!this.#isReading || this.#stopping.signal.aborted) return;
    if (from === 'beginning') this.#reader.assign(this.#options.topic, slot, 'earliest');
    const begun = from === 'snapshot' ? this.#begin(slot) : Promise.resolve();
    const loaded = begun.then(() => {
      this.#snapshots?.sayRefused();
      return this.#load(slot, this.#stopped);
    });
    loaded.catch((thrown: unknown) => {
      if (isAbort(thrown, this.#stopping.signal)) return;
      this.#options.logger.error({ slot, cause: messageOf(thrown) }, 'slot of state not read');
    });
  }

  /** The slot's leaves out of its snapshot if there is one, and the reader goes on from there. Never rejects. */
  async #begin(slot: Slot): Promise<void> {
    const round = this.#rounds[slot];
    const place = (await this.#snapshots?.load(slot)) ?? null;
    if (round !== this.#rounds[slot] || this.#stopping.signal.aborted) return; // somebody else has begun it
    this.#reader.assign(this.#options.topic, slot, place?.nextOffset ?? 'earliest');
  }

  #bumpRound(slot: Slot): void {
    this.#rounds[slot] = (this.#rounds[slot] ?? 0) + 1;
  }

  async #load(slot: Slot, signal: AbortSignal): Promise<void> {
    for (;;) {
      const round = this.#rounds[slot];
      if (!this.#wanted.held.has(slot)) return;
      try {
        await this.#reader.caughtUp(this.#options.topic, slot, signal);
      } catch (thrown) {
        if (signal.aborted || round === this.#rounds[slot]) throw thrown;
      }
      if (!this.#wanted.held.has(slot)) return;
      if (round !== this.#rounds[slot]) continue; // R3: it was assigned anew meanwhile
      this.#copy.loaded(slot);
      return;
    }
  }

  /** Applies one fetched batch. Public for the reader, and for tests without one. */
  apply(batch: SlotBatch): void {
    this.#copy.apply(batch);
  }

  get store(): StateCopy['store'] {
    return this.#copy.store;
  }

  get feed(): StateFeed {
    return this;
  }

  get logTag(): string | null {
    return this.#watch.tag;
  }

  listen(listener: StateListener, slots?: readonly Slot[]): () => void {
    return this.#copy.listen(listener, slots);
  }

  replay(after: Position, covers?: Covers): ReplayStart {
    return this.#replays.start(after, covers);
  }

  freshness(slot: Slot): SlotFreshness {
    return this.#copy.freshness(slot);
  }

  resets(slot: Slot): number {
    return this.#copy.resets(slot);
  }

  complete(slot: Slot): Position | null {
    return this.#copy.complete(slot);
  }

  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean> {
    return this.#copy.reached(positions, waitMs, signal);
  }

  worstStalenessMs(): number | null {
    return this.#copy.worstStalenessMs();
  }

  slotsCaughtUp(): number {
    return this.#copy.slotsLoaded();
  }

  /** A broker has answered within the last seconds. */
  get kafkaOk(): boolean {
    return this.#reader.kafkaOk;
  }
}
