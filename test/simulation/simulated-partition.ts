import { HoldfastError } from '../../core/errors.ts';
import { deferred, type Deferred } from '../../core/deferred.ts';
import { type SlotWriter, type WriterHooks, type WriterRecord } from '../../core/kafka/slot-host.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Random } from '../../core/random.ts';
import { type Path } from './simulated-coordinator.ts';
import { ownershipRecordOf, type OwnershipTopic } from './simulated-log.ts';
import { type ProcessClock, type VirtualTime } from './virtual-time.ts';

/**
 * The rule by which a broker takes or refuses the batches of a slot (ProducerAppendInfo.checkProducerEpoch), as a model:
 * an older producer epoch is refused once a newer one has landed in that partition, and not before; a batch that is
 * repeated under its producer epoch is acknowledged and not appended again.
 */
export interface Identity {
  readonly producerId: number;
  readonly epoch: number;
}

export interface TelemetryRecord {
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly kind: 'owner' | 'data' | 'closed';
  readonly by: string;
}

interface Batch {
  readonly id: number;
  readonly topic: 'telemetry' | 'ownership';
  readonly numbered: readonly TelemetryRecord[];
  readonly plain: readonly WriterRecord[];
  readonly done: Deferred<undefined>;
}

export class SlotPartitions {
  /** False in the control run: whatever comes is taken. */
  fenced = true;
  /** InitProducerId is not answered before that. */
  transactionsAwayUntilMs = 0;
  refusedBatches = 0;
  /** Slots whose telemetry has grown since the checks looked. */
  readonly grown = new Set<Slot>();
  readonly #telemetry = new Map<Slot, TelemetryRecord[]>();
  readonly #issued = new Map<Slot, Identity>();
  readonly #landed = new Map<string, Identity>();
  readonly #taken = new Map<string, Set<number>>();
  readonly #ownership: OwnershipTopic;
  /** Slots whose producer id was renewed: there the fence has a hole, and the header's epoch protects. */
  readonly renewed = new Set<Slot>();
  #producerIds = 0;

  constructor(ownership: OwnershipTopic) {
    this.#ownership = ownership;
  }

  log(slot: Slot): readonly TelemetryRecord[] {
    return this.#telemetry.get(slot) ?? [];
  }

  lastEpoch(slot: Slot): bigint | undefined {
    return this.#telemetry.get(slot)?.at(-1)?.epoch;
  }

  next(slot: Slot): Identity {
    const before = this.#issued.get(slot);
    const identity =
      before === undefined
        ? { producerId: (this.#producerIds += 1), epoch: 0 }
        : { ...before, epoch: before.epoch + 1 };
    this.#issued.set(slot, identity);
    return identity;
  }

  /** The transactional id expired, or its 16-bit epoch ran out. */
  renew(slot: Slot): void {
    this.#issued.delete(slot);
    this.renewed.add(slot);
  }

  append(slot: Slot, identity: Identity, batch: Batch): 'taken' | 'refused' {
    const key = `${batch.topic}/${slot}`;
    const landed = this.#landed.get(key);
    const older = landed?.producerId === identity.producerId && identity.epoch < landed.epoch;
    if (older && this.fenced) {
      this.refusedBatches += 1;
      return 'refused';
    }
    const sameIdentity = landed?.producerId === identity.producerId && landed.epoch === identity.epoch;
    const taken = sameIdentity ? (this.#taken.get(key) ?? new Set<number>()) : new Set<number>();
    this.#landed.set(key, identity);
    this.#taken.set(key, taken);
    if (taken.has(batch.id)) return 'taken';
    taken.add(batch.id);
    if (batch.topic === 'ownership') {
      for (const { value } of batch.plain) {
        const record = ownershipRecordOf(value ?? Buffer.alloc(0));
        this.#ownership.append({ key: `slot/${slot}`, slot: record });
      }
      return 'taken';
    }
    const log = this.#telemetry.get(slot) ?? [];
    log.push(...batch.numbered);
    this.grown.add(slot);
    this.#telemetry.set(slot, log);
    return 'taken';
  }
}

const requestMsMax = 1_000;
const reinitsMax = 3;
const reinitWindowMs = 10_000;

export interface WriterSurroundings {
  readonly time: VirtualTime;
  readonly clock: ProcessClock;
  readonly path: Path;
  readonly partitions: SlotPartitions;
  readonly random: Random;
}

/** The fenced writer of a slot over that model: one batch at a time of each topic, resent until it is answered. */
export class SimulatedWriter implements SlotWriter {
  readonly epoch: bigint;
  readonly #slot: Slot;
  readonly #by: string;
  readonly #hooks: WriterHooks;
  readonly #world: WriterSurroundings;
  readonly #queues: Record<Batch['topic'], { readonly waiting: Batch[]; busy: boolean }> = {
    telemetry: { waiting: [], busy: false },
    ownership: { waiting: [], busy: false },
  };
  readonly #started = deferred<undefined>();
  #identity: Identity | null = null;
  #taking = false;
  #reinitsAtMs: number[] = [];
  #ended: HoldfastError | null = null;
  #batches = 0;
  #acked = 0;
  lastSeq = 0n;

  constructor(slot: Slot, epoch: bigint, by: string, hooks: WriterHooks, world: WriterSurroundings) {
    this.#slot = slot;
    this.epoch = epoch;
    this.#by = by;
    this.#hooks = hooks;
    this.#world = world;
    this.#started.promise.catch(() => undefined);
  }

  start(): Promise<void> {
    this.#take();
    return this.#started.promise;
  }

  numbered(kind: TelemetryRecord['kind']): Promise<undefined> {
    this.lastSeq += 1n;
    const record = { epoch: this.epoch, seq: this.lastSeq, kind, by: this.#by };
    return this.#append({ topic: 'telemetry', numbered: [record], plain: [] });
  }

  append(_topic: string, _partition: number, records: readonly WriterRecord[]): { readonly acked: Promise<void> } {
    return { acked: this.#append({ topic: 'ownership', numbered: [], plain: records }) };
  }

  hasEnded(): boolean {
    return this.#ended !== null;
  }

  progress(): { unacked: boolean; ackedBatches: number } {
    const unacked = this.#queues.telemetry.waiting.length + this.#queues.ownership.waiting.length > 0;
    return { unacked, ackedBatches: this.#acked };
  }

  /** Resolves when everything appended so far is acked or refused. */
  async flushed(): Promise<void> {
    const last = this.#queues.telemetry.waiting.at(-1)?.done.promise;
    await last?.catch(() => undefined);
  }

  stop(): number {
    return this.#end(new HoldfastError('LEASE_LOST', 'stopped'));
  }

  #append(batch: Omit<Batch, 'id' | 'done'>): Promise<undefined> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const whole: Batch = { ...batch, id: (this.#batches += 1), done: deferred<undefined>() };
    whole.done.promise.catch(() => undefined);
    this.#queues[batch.topic].waiting.push(whole);
    this.#send(batch.topic);
    return whole.done.promise;
  }

  #end(reason: HoldfastError): number {
    if (this.#ended !== null) return 0;
    this.#ended = reason;
    this.#started.reject(reason);
    const waiting = [...this.#queues.telemetry.waiting, ...this.#queues.ownership.waiting];
    for (const { done } of waiting) done.reject(reason);
    return waiting.length;
  }

  /** InitProducerId, asked until it is answered, and only while the lease is live. */
  #take(): void {
    if (this.#taking) return;
    this.#taking = true;
    const { time, clock, path, partitions } = this.#world;
    const attempt = (): void => {
      if (this.#ended !== null || clock.isDead) return;
      if (!this.#hooks.leaseLive() || path.cutOut || this.#lost()) {
        clock.after(100, attempt);
        return;
      }
      time.after(path.latencyMs(), () => {
        const away = time.nowMs < partitions.transactionsAwayUntilMs;
        const identity = away ? null : partitions.next(this.#slot);
        if (identity === null || path.cutIn || this.#lost()) {
          clock.deliver(() => void clock.after(200, attempt)); // bumped for nothing, perhaps
          return;
        }
        time.after(path.latencyMs(), () =>
          clock.deliver(() => {
            this.#taking = false;
            this.#identity = identity;
            this.#started.resolve(undefined);
            this.#send('telemetry');
            this.#send('ownership');
          }),
        );
      });
    };
    attempt();
  }

  #send(topic: Batch['topic']): void {
    const queue = this.#queues[topic];
    const batch = queue.waiting[0];
    const identity = this.#identity;
    const { time, clock, path, partitions } = this.#world;
    if (batch === undefined || queue.busy || identity === null || this.#ended !== null || this.#taking) return;
    queue.busy = true;
    const again = (): void => {
      queue.busy = false;
      this.#send(topic);
    };
    if (!this.#hooks.leaseLive()) {
      clock.after(50, again);
      return;
    }
    if (path.cutOut || this.#lost()) {
      clock.after(requestMsMax, again);
      return;
    }
    time.after(path.latencyMs() + path.batchDelayMs, () => {
      const answer = partitions.append(this.#slot, identity, batch);
      if (path.cutIn || this.#lost()) {
        clock.deliver(() => void clock.after(requestMsMax, again));
        return;
      }
      time.after(path.latencyMs(), () =>
        clock.deliver(() => {
          queue.busy = false;
          if (this.#ended !== null) return;
          if (answer === 'refused') {
            this.#refused(identity);
            return;
          }
          queue.waiting.shift();
          this.#acked += 1;
          this.#reinitsAtMs = [];
          batch.done.resolve(undefined);
          this.#send(topic);
        }),
      );
    });
  }

  /** Rightful owner fenced: the producer id is taken again, what is unacked goes out with its old positions. */
  #refused(identity: Identity): void {
    if (this.#identity !== identity) {
      this.#send('telemetry');
      this.#send('ownership');
      return;
    }
    const nowMs = this.#world.clock.monotonicMs();
    this.#reinitsAtMs = this.#reinitsAtMs.filter((atMs) => nowMs - atMs < reinitWindowMs);
    if (this.#reinitsAtMs.length >= reinitsMax) {
      this.#end(new HoldfastError('FENCED', 'a newer owner'));
      this.#hooks.onFenced();
      return;
    }
    this.#reinitsAtMs.push(nowMs);
    this.#identity = null;
    this.#take();
  }

  #lost(): boolean {
    const { path, random } = this.#world;
    return path.loss > 0 && random.next() < path.loss;
  }
}
