import { type InstanceSlot } from '../schemas/instance.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { raceAbort } from '../core/abort.ts';
import { type Clock, type Timer } from '../core/clock.ts';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type LogBatch } from '../core/kafka/log-reader.ts';
import { type SlotHost, type Takeover } from '../core/kafka/slot-host.ts';
import { type Component } from '../core/lifecycle.ts';
import { SlotWorker, type SlotWorkerOptions } from './slot-worker.ts';
import { type StatePort, StateWriter, type StateWriterOptions, unknownLagMs } from './state-writer.ts';

/**
 * What the lock does with a slot, for the replicator: its first record is the slot's marker in `state`, from which on the
 * broker refuses the writer before us; being active is one worker; releasing is its last commit.
 *
 * O1. A worker reads `state` only after our marker is acked, so that nothing foreign can follow what it read.
 */
export interface StateHostOptions
  extends
    Omit<StateWriterOptions, 'slot' | 'port' | 'topic' | 'unackedBytesMax'>,
    Omit<SlotWorkerOptions, 'slot' | 'takeover' | 'writer'> {
  /** Over all slots that this process may come to hold. */
  readonly unackedBytesMax: number;
  readonly slots: number;
  readonly onFatal: (error: HoldfastError) => void;
  readonly clock: Clock;
}

interface Held {
  readonly takeover: Takeover;
  readonly port: StatePort;
  readonly writer: StateWriter;
  worker: SlotWorker | null;
}

const markEveryMs = 1_000;
/** Commits bound how much is read again after a crash, and each is a write to Kafka: seconds, not milliseconds. */
const commitEveryTicks = 5;
/** Even with many slots a slot may have this much on its way, or small batches would throttle it. */
const unackedBytesMin = 262_144;

export class StateHost implements SlotHost<StatePort>, Component {
  readonly name = 'state of slots';
  readonly #options: StateHostOptions;
  readonly #held = new Map<Slot, Held>();
  #timer: Timer | null = null;
  #ticks = 0;

  constructor(options: StateHostOptions) {
    this.#options = options;
  }

  /** Slots whose leaves are restored and followed. */
  get following(): number {
    let count = 0;
    for (const { worker } of this.#held.values()) if (worker?.isFollowing === true) count += 1;
    return count;
  }

  get size(): number {
    return this.#held.size;
  }

  /** For the instance record. */
  progress(): InstanceSlot[] {
    return [...this.#held].flatMap(([slot, { worker }]) => {
      const progress = worker?.progress() ?? null;
      if (progress === null) return [];
      const { epoch, seq } = progress.position ?? { epoch: 0n, seq: 0n };
      return [{ slot, epoch, seq, stalenessMs: progress.lagMs }];
    });
  }

  start(): Promise<void> {
    this.#timer ??= this.#options.clock.every(markEveryMs, () => this.#tick());
    return Promise.resolve();
  }

  /** Slots are given back by the lock, which stops before. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    for (const slot of [...this.#held.keys()]) await this.drop(slot);
  }

  async begin(slot: Slot, port: StatePort, takeover: Takeover, signal: AbortSignal): Promise<void> {
    const { topics, unackedBytesMax, slots, clock } = this.#options;
    const share = Math.max(unackedBytesMin, Math.floor(unackedBytesMax / slots));
    const writer = new StateWriter({ ...this.#options, slot, port, topic: topics.state, unackedBytesMax: share });
    this.#held.set(slot, { takeover, port, writer, worker: null });
    const position: Position | null = takeover.applied === null ? null : { slot, ...takeover.applied };
    writer.mark(position, { reason: takeover.reason, lagMs: unknownLagMs, nowNs: clock.nowNs() });
    await raceAbort(writer.flushed(signal), signal);
  }

  activate(slot: Slot): void {
    const held = this.#held.get(slot);
    if (held === undefined) return; // dropped meanwhile
    const { takeover, writer } = held;
    const worker = new SlotWorker({ ...this.#options, slot, takeover, writer });
    held.worker = worker;
    worker.start().catch((thrown: unknown) => {
      const detail = `slot ${slot} could not be restored from state: ${messageOf(thrown)}`;
      this.#options.onFatal(new HoldfastError('INTERNAL', detail, { cause: thrown, facts: { slot } }));
    });
    this.#options.metrics.slots.set(this.#held.size);
  }

  async release(slot: Slot, _reason: 'moved' | 'drain', signal: AbortSignal): Promise<{ lastSeq: bigint | null }> {
    const held = this.#held.get(slot);
    await held?.worker?.release(signal);
    this.#remove(slot, held);
    return { lastSeq: null }; // seq numbers telemetry; what was applied of it is in the committed metadata
  }

  drop(slot: Slot): Promise<void> {
    const held = this.#held.get(slot);
    held?.worker?.drop();
    this.#remove(slot, held);
    return Promise.resolve();
  }

  /** To be the handler of the reader of `state`. */
  onState(batch: LogBatch): void {
    this.#held.get(batch.partition)?.worker?.onState(batch);
  }

  onStateReset(slot: Slot): void {
    this.#held.get(slot)?.worker?.onStateReset();
  }

  /** To be the handler of the reader of `telemetry`. */
  onTelemetry(batch: LogBatch): Promise<void> {
    return this.#held.get(batch.partition)?.worker?.onTelemetry(batch) ?? Promise.resolve();
  }

  onTelemetryReset(slot: Slot): void {
    this.#held.get(slot)?.worker?.onTelemetryReset();
  }

  #remove(slot: Slot, held: Held | undefined): void {
    if (held !== undefined && this.#held.get(slot) === held) this.#held.delete(slot);
    this.#options.metrics.slots.set(this.#held.size);
  }

  #tick(): void {
    const { metrics } = this.#options;
    this.#ticks += 1;
    let leaves = 0;
    let unackedBytes = 0;
    for (const { worker, port } of this.#held.values()) {
      unackedBytes += port.unackedBytes;
      if (worker === null) continue;
      leaves += worker.leafCount;
      worker.tick();
      if (this.#ticks % commitEveryTicks === 0) void worker.commit();
    }
    metrics.leaves.set(leaves);
    metrics.unackedBytes.set(unackedBytes);
  }
}
