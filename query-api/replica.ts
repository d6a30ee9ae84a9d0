/**
 * This instance's copy of the topic `state`: reads every slot from its beginning, and follows it.
 *
 * R3. A slot whose log was cut off below us is forgotten and read anew, and answers for it wait until that is done.
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
import { Replays } from './replays.ts';
import { type SlotFreshness } from './select.ts';
import { type SlotBatch, StateCopy, type StateCopyOptions } from './state-copy.ts';
import { type ReplayStart, type StateFeed, type StateListener } from './state-feed.ts';
import { type StoreView } from './store.ts';

/** What answers and streams need of the replica. */
export interface StateView {
  readonly store: StoreView;
  readonly feed: StateFeed;
  freshness(slot: Slot): SlotFreshness;
  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null;
  /** Waits until all `positions` have been applied; false after `waitMs`. Rejects when `signal` aborts. */
  reached(positions: readonly Position[], waitMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface ReplicaOptions extends StateCopyOptions {
  readonly kafka: KafkaOptions;
  /** Full name of the topic `state`. */
  readonly topic: string;
  /** Reading has ended for good; the process should. */
  readonly onFatal: (error: HoldfastError) => void;
}

/** Late records of a displaced writer come within a session timeout; two sweeps are twice that and more. */
const sweepMs = 120_000;

export class Replica implements Component, StateView, StateFeed {
  readonly name = 'state replica';
  readonly #options: ReplicaOptions;
  readonly #copy: StateCopy;
  readonly #reader: LogReader;
  readonly #range: LogRange;
  readonly #replays: Replays;
  /** How often each slot was assigned to the reader: what waits for a slot sees that it was read anew. */
  readonly #rounds: number[];
  readonly #stopping = new AbortController();
  #sweeper: Timer | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#copy = new StateCopy(options);
    this.#rounds = Array.from({ length: options.slots }, () => 0);
    this.#reader = new LogReader({
      kafka: options.kafka,
      name: this.name,
      onBatch: (batch) => this.apply(batch),
      onOutOfRange: (_topic, partition) => this.#startOver(partition),
      onFatal: options.onFatal,
      logger: options.logger,
      clock: options.clock,
    });
    this.#range = new LogRange({ kafka: options.kafka, name: 'state replays', clock: options.clock });
    this.#replays = new Replays({
      place: (slot) => this.#copy.place(slot),
      paths: this.#copy.store.paths,
      log: { read: (slot, from, signal) => this.#range.read(options.topic, slot, from, signal) },
      windowMs: () => options.resumeWindowMs,
      clock: options.clock,
    });
  }

  /** Resolves when every slot has been read to its end. */
  async start(signal: AbortSignal): Promise<void> {
    const { topic, slots, clock, logger } = this.#options;
    const startedMonotonicMs = clock.monotonicMs();
    this.#sweeper = clock.every(sweepMs, () => this.#copy.store.sweepTombstones());
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
    this.#range.stop();
    await this.#reader.stop();
  }

  async #load(slot: Slot, signal: AbortSignal): Promise<void> {
    for (;;) {
      const round = this.#rounds[slot];
      try {
        await this.#reader.caughtUp(this.#options.topic, slot, signal);
      } catch (thrown) {
        if (signal.aborted || round === this.#rounds[slot]) throw thrown;
        continue; // R3: it was assigned anew meanwhile
      }
      if (round !== this.#rounds[slot]) continue;
      this.#copy.loaded(slot);
      return;
    }
  }

  /** R3. */
  #startOver(slot: Slot): void {
    this.#options.logger.warn({ slot }, 'slot of state reads anew');
    const wasLoaded = this.#copy.isLoaded(slot);
    this.#rounds[slot] = (this.#rounds[slot] ?? 0) + 1;
    this.#reader.assign(this.#options.topic, slot, 'earliest');
    this.#copy.reset(slot);
    if (!wasLoaded) return; // whoever loads it goes on
    this.#load(slot, this.#stopping.signal).catch((thrown: unknown) => {
      if (isAbort(thrown, this.#stopping.signal)) return;
      this.#options.logger.error({ slot, cause: messageOf(thrown) }, 'slot of state not read');
    });
  }

  /** Applies one fetched batch. Public for the reader, and for tests without one. */
  apply(batch: SlotBatch): void {
    this.#copy.apply(batch);
  }

  get store(): StoreView {
    return this.#copy.store;
  }

  get feed(): StateFeed {
    return this;
  }

  listen(listener: StateListener, slots?: readonly Slot[]): () => void {
    return this.#copy.listen(listener, slots);
  }

  replay(after: Position): ReplayStart {
    return this.#replays.start(after);
  }

  freshness(slot: Slot): SlotFreshness {
    return this.#copy.freshness(slot);
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
