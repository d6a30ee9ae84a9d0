import assert from 'node:assert';
import { decodeHeader, encodeHeaderInto, headerLength, recordKinds, type RecordKind } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Clock } from '../clock.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { RateLimited, type Logger } from '../logger.ts';
import { systemRandom, type Random } from '../random.ts';
import { type ProducerIdentity } from './broker-handle.ts';
import { compressorOf, type CompressionSetting } from './compression.ts';
import { toHoldfastError } from './errors.ts';
import {
  type AckListener,
  FencedPartition,
  type PartitionOwner,
  type Refused,
  type Ticket,
} from './fenced-partition.ts';
import { type ProduceDispatcher } from './produce-dispatcher.ts';
import { type ProducerIdSource } from './producer-id.ts';
import { type DecodedRecord } from './record-batch.ts';
import { type WriterRecord } from './slot-host.ts';

export { type AckListener, type Ticket } from './fenced-partition.ts';

/**
 * The writer of one slot in one epoch. The broker refuses it once a later owner has taken the slot's producer id and
 * written; and it sends nothing while the lease does not stand.
 *
 * Accepted is not acked: `append` puts a record into the open batch, `acked` says that it is durable. While Kafka is
 * away everything waits in order; the caller bounds it by `unackedBytes`.
 *
 * W1. seq is 1, 2, 3 … of this epoch, given at append, never skipped, never given twice: a record that the broker
 *     refuses for good leaves a gap marker with its seq. Only in partitions that `appendNumbered` writes: a record of any
 *     other one is left out, and nothing takes its place.
 * W2. The lease is looked at before a batch is sealed, sent or sent again, and before a producer id is asked for.
 * W3. Refused as fenced while the lease stands, it takes the producer id again and sends everything unacked with its old
 *     positions: readers drop repeats. Three times in 10 s without an ack: the slot is somebody else's.
 * W4. A new producer id is asked for only when nothing is under way in the name of the old one.
 */
export interface NumberedRecord {
  readonly key: Buffer;
  /** Frame of the value's schema. */
  readonly prefix: Buffer;
  readonly value: Buffer;
  readonly kind: RecordKind;
  readonly rpc: number;
  readonly receivedAtNs: bigint;
}

/** A numbered record that the broker refuses by itself, most likely too large for the topic. */
export interface LostRecord {
  readonly key: Buffer;
  readonly seq: bigint;
  /** Of the value, frame included. */
  readonly valueBytes: number;
}

/** A record given to `append` that the broker refuses by itself, most likely too large for the topic. */
export interface RefusedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly valueBytes: number;
}

export interface FencedWriterOptions {
  readonly slot: Slot;
  readonly epoch: bigint;
  readonly transactionalId: string;
  readonly dispatcher: ProduceDispatcher;
  readonly producerIds: ProducerIdSource;
  /** May this slot be published now? Asked before everything that is sent. */
  readonly leaseLive: () => boolean;
  /** The slot is somebody else's; called once, tickets have rejected with `FENCED`. */
  readonly onFenced: () => void;
  /** Kafka refuses for good, most likely an ACL is missing; tickets have rejected. Default: `onFenced`. */
  readonly onFatal?: (error: HoldfastError) => void;
  /** The framed value of the gap marker that takes a lost record's place. Needed where `appendNumbered` is used. */
  readonly gapMarker?: (record: LostRecord) => Buffer;
  /**
   * A record given to `append` is refused for good and left out. `go-on`: the caller counts it and does without, its
   * ticket resolves; `reject`, or no function: the ticket of its batch rejects, and the slot goes on.
   */
  readonly onRefused?: (record: RefusedRecord) => 'go-on' | 'reject';
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
  readonly batchBytesMax?: number;
  readonly compression?: CompressionSetting;
}

const reinitWindowMs = 10_000;
const reinitsMax = 3;
const gapKind = recordKinds.indexOf('gap');
/** A hand-over waits for their acks: lingering would add to the silence of every device of the slot. */
const urgentKinds: ReadonlySet<RecordKind> = new Set(['owner', 'closed']);

export class FencedWriter {
  readonly slot: Slot;
  readonly epoch: bigint;
  readonly #options: FencedWriterOptions;
  readonly #random: Random;
  readonly #partitions = new Map<string, { readonly partition: FencedPartition; readonly numbered: boolean }>();
  readonly #header = Buffer.alloc(headerLength);
  readonly #stopping = new AbortController();
  readonly #limited = new RateLimited();
  #identity: ProducerIdentity | null = null;
  #recovering = false;
  #taking = false;
  #reinitsAtMonotonicMs: number[] = [];
  #lastSeq = 0n;
  #ended: Error | null = null;

  /** Inert until `start`; what is appended before waits. */
  constructor(options: FencedWriterOptions) {
    this.#options = options;
    this.slot = options.slot;
    this.epoch = options.epoch;
    this.#random = options.random ?? systemRandom;
  }

  /** Takes the slot's producer id; nothing is refused to the owner before until our first batch is written. */
  async start(): Promise<void> {
    try {
      await this.#takeProducerId();
    } catch (thrown) {
      if (this.#ended !== null) throw this.#ended;
      throw toHoldfastError(thrown);
    }
  }

  /** Seq of the last record that `appendNumbered` took; 0: none yet. */
  get lastSeq(): bigint {
    return this.#lastSeq;
  }

  /** Bytes of records accepted and not acked. */
  get unackedBytes(): number {
    let bytes = 0;
    for (const { partition } of this.#partitions.values()) bytes += partition.unackedBytes;
    return bytes;
  }

  progress(): { readonly unacked: boolean; readonly ackedBatches: number } {
    let ackedBatches = 0;
    for (const { partition } of this.#partitions.values()) ackedBatches += partition.ackedBatches;
    return { unacked: this.unackedBytes > 0, ackedBatches };
  }

  /** A record under the next position, into the slot's partition. Throws `LEASE_LOST` or `FENCED` once the slot is lost. */
  appendNumbered(topic: string, record: NumberedRecord, listener?: AckListener): Ticket {
    this.#failIfEnded();
    const { key, prefix, value, kind, rpc, receivedAtNs } = record;
    const seq = this.#lastSeq + 1n; // W1
    encodeHeaderInto(this.#header, 0, { slot: this.slot, epoch: this.epoch, seq, kind, rpc, receivedAtNs });
    const timestampMs = Number(receivedAtNs / 1_000_000n);
    const numbered = { key, prefix, value, header: this.#header, timestampMs };
    const ticket = this.#partition(topic, this.slot, true).append([numbered], listener, urgentKinds.has(kind));
    this.#lastSeq = seq;
    return ticket;
  }

  /** Records with their headers as given; those of one call share a batch. Throws as `appendNumbered` does. */
  append(topic: string, partition: number, records: readonly WriterRecord[], listener?: AckListener): Ticket {
    this.#failIfEnded();
    return this.#partition(topic, partition, false).append(
      records.map((record) => ({ ...record, prefix: null })),
      listener,
    );
  }

  /** Resolves when everything appended so far is acked or refused; rejects when the slot is lost. */
  async flushed(): Promise<void> {
    const refused = (thrown: unknown): void => {
      if (this.#ended !== null && thrown === this.#ended) throw this.#ended;
    };
    await Promise.all([...this.#partitions.values()].map(({ partition }) => partition.last.catch(refused)));
  }

  /** Sends nothing any more: tickets reject with `LEASE_LOST`. Returns how many records were never sent. */
  stop(): number {
    return this.#end(new HoldfastError('LEASE_LOST', `slot ${this.slot} is not ours any more`));
  }

  #end(reason: HoldfastError): number {
    if (this.#ended !== null) return 0;
    this.#ended = reason;
    this.#identity = null;
    this.#stopping.abort(reason);
    let unsent = 0;
    for (const { partition } of this.#partitions.values()) unsent += partition.end(reason);
    return unsent;
  }

  #failIfEnded(): void {
    if (this.#ended !== null) throw this.#ended;
  }

  /** A partition is numbered or not, from its first record on: that decides what becomes of a refused one (W1). */
  #partition(topic: string, partition: number, numbered: boolean): FencedPartition {
    const key = `${topic}\0${partition}`;
    let found = this.#partitions.get(key);
    if (found === undefined) {
      const refused = numbered
        ? (record: DecodedRecord) => this.#gapFor(record)
        : (record: DecodedRecord) => this.#leaveOut(topic, partition, record);
      const made = new FencedPartition({
        topic,
        partition,
        batchBytesMax: this.#options.batchBytesMax ?? 262_144,
        compressor: compressorOf(this.#options.compression ?? 'auto'),
        dispatcher: this.#options.dispatcher,
        owner: { ...this.#owner, refused },
        random: this.#random,
      });
      found = { partition: made, numbered };
      this.#partitions.set(key, found);
    }
    assert(found.numbered === numbered, `${topic}-${partition} takes numbered records or others, not both`);
    return found.partition;
  }

  readonly #owner: Omit<PartitionOwner, 'refused'> = {
    identity: () => (this.#recovering ? null : this.#identity),
    mayPublish: () => this.#options.leaseLive(), // W2
    producerRefused: (fenced) => this.#recover(fenced),
    quiet: () => this.#reinitWhenQuiet(),
    ackedSome: () => {
      this.#reinitsAtMonotonicMs = [];
    },
    fatal: (error) => this.#fail(error),
  };

  async #takeProducerId(): Promise<void> {
    const { producerIds, transactionalId, leaseLive } = this.#options;
    const identity = await producerIds.next(transactionalId, leaseLive, this.#stopping.signal); // W2
    this.#stopping.signal.throwIfAborted();
    this.#identity = identity;
    this.#recovering = false;
    for (const { partition } of this.#partitions.values()) partition.restart();
  }

  /** W3: from here on nothing is sent until there is a new producer id. */
  #recover(fenced: boolean): void {
    if (this.#recovering || this.#ended !== null) return;
    const { clock, logger, dispatcher } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#reinitsAtMonotonicMs = this.#reinitsAtMonotonicMs.filter((atMs) => nowMs - atMs < reinitWindowMs);
    if (this.#reinitsAtMonotonicMs.length >= reinitsMax) {
      dispatcher.counters.fenced += 1;
      const facts = { slot: this.slot, epoch: this.epoch };
      const message = `slot ${this.slot} has a newer owner, which the broker prefers to us`;
      this.#end(new HoldfastError('FENCED', message, { facts }));
      this.#options.onFenced();
      return;
    }
    this.#reinitsAtMonotonicMs.push(nowMs);
    this.#recovering = true;
    dispatcher.counters.reinits += 1;
    logger.warn({ slot: this.slot, epoch: this.epoch, fenced }, 'producer id refused, taking it again');
  }

  /** W4 */
  #reinitWhenQuiet(): void {
    if (!this.#recovering || this.#taking || this.#ended !== null) return;
    for (const { partition } of this.#partitions.values()) if (!partition.isQuiet) return;
    this.#taking = true;
    this.#takeProducerId()
      .catch((thrown: unknown) => {
        if (this.#ended === null) this.#fail(toHoldfastError(thrown));
      })
      .finally(() => {
        this.#taking = false;
      });
  }

  #fail(error: HoldfastError): void {
    if (this.#ended !== null) return;
    this.#options.logger.error({ slot: this.slot, cause: messageOf(error) }, 'kafka refuses the slot for good');
    this.#end(error);
    if (this.#options.onFatal === undefined) this.#options.onFenced();
    else this.#options.onFatal(error);
  }

  /** The gap marker in the place of a numbered record, with its position (W1). */
  #gapFor(record: DecodedRecord): Refused {
    this.#logRefused(record);
    const { key, value, header, timestampMs } = record;
    const { gapMarker } = this.#options;
    if (gapMarker === undefined || key === null || header === null) return 'reject';
    const marker = Buffer.from(header);
    marker.writeUInt8(gapKind, 1);
    return {
      key,
      prefix: null,
      value: gapMarker({ key, seq: decodeHeader(header).seq, valueBytes: value?.length ?? 0 }),
      header: marker,
      timestampMs,
    };
  }

  #leaveOut(topic: string, partition: number, record: DecodedRecord): Refused {
    this.#logRefused(record);
    const { key, value } = record;
    return this.#options.onRefused?.({ topic, partition, key, valueBytes: value?.length ?? 0 }) ?? 'reject';
  }

  #logRefused({ key, value }: DecodedRecord): void {
    const suppressed = this.#limited.pass('given up', this.#options.clock.monotonicMs());
    if (suppressed === undefined) return;
    const fields = { slot: this.slot, key: key?.toString(), bytes: value?.length ?? 0, suppressed };
    this.#options.logger.error(fields, 'record given up, the broker refuses it');
  }
}
