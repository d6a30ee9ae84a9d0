import { Backoff } from '../backoff.ts';
import { type HoldfastError, messageOf } from '../errors.ts';
import { type Random } from '../random.ts';
import { type ProducerIdentity } from './broker-handle.ts';
import { type Compressor } from './compression.ts';
import { factsOf, kafkaErrorOfCode, recordRefusal, toHoldfastError } from './errors.ts';
import {
  type AckListener,
  newStake,
  type PartitionRecord,
  type PendingBatch,
  replaceBatch,
  roughLength,
  sequenceAfter,
  splitBatch,
  type Stake,
} from './pending-batch.ts';
import {
  type ProduceBatch,
  type ProduceCounters,
  type ProduceDispatcher,
  type ProduceSource,
} from './produce-dispatcher.ts';
import { type ProduceAnswer } from './produce-protocol.ts';
import { BatchBuilder, type DecodedRecord, decodeBatches, decodeRecords } from './record-batch.ts';

export { type AckListener, type PartitionRecord } from './pending-batch.ts';

/**
 * What a fenced writer has for one partition: the open batch, and those that are sealed and not acked, in order.
 *
 * P1. Sequences are given at sending: 0 for the first batch of a producer epoch, then without a gap. A batch that is sent
 *     again has the sequence it had, so the broker knows it.
 * P2. After any failure nothing is sent until every batch under way is answered or lost; then again from the first
 *     unacked one. The broker refuses what stands behind a missing batch (45), so order holds.
 * P3. At most five batches are under way, as many as the broker remembers; one until the first ack of a producer epoch,
 *     because a broker that does not know the producer would take the second without the first.
 * P4. A batch of unknown outcome is never given up.
 * P5. A record that the broker refuses by itself is replaced one for one, so that sequences and positions behind it stay,
 *     or left out: its ticket rejects, or its owner has said that it goes on without it.
 * P6. Leaving one out moves the sequences behind it. If a batch there went unanswered, a late copy of it could take the
 *     sequence of the next one, which would then pass for a duplicate: so it takes a new producer epoch first.
 */
/** All records of a batch share it. Rejects when the slot is lost, or a record was left out; nobody has to listen. */
export interface Ticket {
  readonly acked: Promise<void>;
}

/** What a partition asks and tells its writer. */
export interface PartitionOwner {
  /** null: no producer id at present, nothing may be sent. */
  identity(): ProducerIdentity | null;
  mayPublish(): boolean;
  /** The broker refuses or has forgotten the producer id; `fenced`: because of a newer one. */
  producerRefused(fenced: boolean): void;
  /** Nothing is under way any more. */
  quiet(): void;
  ackedSome(): void;
  fatal(error: HoldfastError): void;
  /** What becomes of a record that the broker refuses for good. */
  refused(record: DecodedRecord): Refused;
}

/** A record in its place; `go-on`: left out, its ticket resolves all the same; `reject`: left out, its ticket rejects. */
export type Refused = PartitionRecord | 'go-on' | 'reject';

export interface PartitionOptions {
  readonly topic: string;
  readonly partition: number;
  readonly batchBytesMax: number;
  readonly compressor: Compressor | null;
  readonly dispatcher: ProduceDispatcher;
  readonly owner: PartitionOwner;
  readonly random: Random;
}

const inFlightMax = 5;
const outOfOrder = 45;
const duplicate = 46;
const unknownProducer = 59;
/** INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: the broker knows a newer owner. */
export const fencedCodes: readonly number[] = [47, 90];
/**
 * The batch itself is refused: MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, CORRUPT_MESSAGE, INVALID_RECORD. Not
 * INVALID_TIMESTAMP: that is our clock, and would be every record's fate, gap markers included.
 */
const contentCodes: readonly number[] = [10, 18, 2, 87];
const corrupt = 2;
/** Replicas or disks are missing: nothing changes within milliseconds. */
const slowCodes: readonly number[] = [19, 20, 56];
const leaseRetryMs = 50;

export class FencedPartition implements ProduceSource {
  readonly topic: string;
  readonly partition: number;
  readonly #options: PartitionOptions;
  readonly #counters: ProduceCounters;
  readonly #builder = new BatchBuilder();
  readonly #fast = new Backoff({ initialMs: 20, maxMs: 1_000, factor: 2, jitter: 0.5 });
  readonly #slow = new Backoff({ initialMs: 500, maxMs: 2_000, factor: 2, jitter: 0.5 });
  #open: { readonly stake: Stake; groupStarts: number[] } | null = null;
  /** Oldest first; the first `#inFlight` of them are under way unless `#rewinding`. */
  readonly #pending: PendingBatch[] = [];
  #inFlight = 0;
  /** Sequence of the first unacked batch. */
  #sequence = 0;
  /** The broker has acked a batch of this producer epoch (P3). */
  #known = false;
  #rewinding = false;
  /** The first batch was refused for what is in it, with this code: to be split or replaced once nothing is under way. */
  #refusedCode = 0;
  /** The batch that arrived damaged once: only the second time its content is to blame. */
  #damaged: PendingBatch | null = null;
  #rewriting = false;
  #restMs = 0;
  #unackedBytes = 0;
  #ackedBatches = 0;
  #last: Promise<void> = Promise.resolve();
  /** The dispatcher has been told, and has not asked yet. */
  #announced = false;
  #ended = false;

  constructor(options: PartitionOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.#counters = options.dispatcher.counters;
  }

  /** Bytes of records accepted and not acked. */
  get unackedBytes(): number {
    return this.#unackedBytes;
  }

  get ackedBatches(): number {
    return this.#ackedBatches;
  }

  get isQuiet(): boolean {
    return this.#inFlight === 0 && !this.#rewriting;
  }

  /** Of the last record appended. */
  get last(): Promise<void> {
    return this.#last;
  }

  /** Records of one call stay in one batch. `urgent`: somebody waits for the ack, no more records are waited for. */
  append(records: readonly PartitionRecord[], listener: AckListener | undefined, urgent = false): Ticket {
    const { batchBytesMax } = this.#options;
    const room = records.reduce((bytes, record) => bytes + roughLength(record), 0);
    if (this.#builder.recordCount > 0 && this.#builder.length + room > batchBytesMax) this.#seal();
    const open = (this.#open ??= { stake: newStake(), groupStarts: [] });
    const { stake } = open;
    open.groupStarts.push(this.#builder.recordCount);
    for (const { key, prefix, value, header, timestampMs } of records) {
      const bytes = this.#builder.append(key, prefix, value, header, timestampMs);
      stake.bytes += bytes;
      this.#unackedBytes += bytes;
      if (listener !== undefined) {
        stake.listeners.set(listener, (stake.listeners.get(listener) ?? 0) + (value?.length ?? 0));
      }
    }
    const { promise } = stake.done;
    this.#last = promise;
    if (this.#builder.length >= batchBytesMax) {
      this.#seal();
      this.#wake();
    }
    if (!this.#announced || urgent) this.#wake(urgent);
    return { acked: promise };
  }

  take(): ProduceBatch | null {
    this.#announced = false;
    const identity = this.#options.owner.identity();
    if (identity === null || !this.#maySendMore()) return null;
    if (!this.#options.owner.mayPublish()) {
      this.#options.dispatcher.rest(this, leaseRetryMs);
      return null;
    }
    if (this.#pending.length === this.#inFlight && this.#builder.recordCount > 0) this.#seal();
    const batch = this.#pending[this.#inFlight];
    const sealed = batch?.sealed ?? null;
    if (batch === undefined || sealed === null) return null; // being compressed: `#seal` says when it is done
    const sequence = this.#pending
      .slice(0, this.#inFlight)
      .reduce((next, { recordCount }) => sequenceAfter(next, recordCount), this.#sequence); // P1
    this.#inFlight += 1;
    if (batch.sent) this.#counters.retriedBatches += 1;
    batch.sent = true;
    this.#wake();
    return {
      bytes: sealed.bytesOf(identity.producerId, identity.producerEpoch, sequence),
      answered: (answer) => {
        try {
          this.#answered(batch, answer);
        } finally {
          this.#settle(); // also when a listener throws
        }
      },
      lost: () => {
        batch.uncertain = true;
        this.#rewinding = true; // P2, P4
        this.#settle();
      },
    };
  }

  /** A new producer epoch: everything unacked goes out again from sequence 0. Only when quiet. */
  restart(): void {
    for (const batch of this.#pending) batch.uncertain = false; // a late copy of the old epoch is refused
    this.#sequence = 0;
    this.#known = false;
    this.#rewinding = false;
    this.#restMs = 0;
    this.#wake();
  }

  /** Sends nothing any more; tickets reject. Returns how many records were never sent. */
  end(reason: Error): number {
    if (this.#ended) return 0;
    this.#ended = true;
    this.#options.dispatcher.forget(this);
    let unsent = this.#builder.recordCount;
    for (const { sent, recordCount } of this.#pending) if (!sent) unsent += recordCount;
    const stakes = new Set(this.#pending.map(({ stake }) => stake));
    if (this.#open !== null) stakes.add(this.#open.stake);
    this.#builder.clear();
    this.#open = null;
    this.#pending.length = 0;
    for (const { done } of stakes) done.reject(reason);
    return unsent;
  }

  #maySendMore(): boolean {
    if (this.#ended || this.#rewinding || this.#refusedCode !== 0 || this.#rewriting) return false;
    return this.#inFlight < (this.#known ? inFlightMax : 1); // P3
  }

  #wake(urgent = false): void {
    const waiting = urgent || this.#pending.length > this.#inFlight;
    if (!this.#maySendMore() || !(waiting || this.#builder.recordCount > 0)) return;
    this.#announced = true;
    this.#options.dispatcher.ready(this, waiting ? 0 : undefined);
  }

  #answered(batch: PendingBatch, { code }: ProduceAnswer): void {
    if (this.#ended) return;
    const first = batch === this.#pending[0];
    if (code === 0 || code === duplicate) {
      if (first) this.#ack(batch);
      else this.#rewinding = true; // its answer came before the first one's: sent again, it is a duplicate
    } else if (fencedCodes.includes(code)) {
      this.#rewinding = true;
      this.#options.owner.producerRefused(true);
    } else if (code === outOfOrder || code === unknownProducer) {
      const forgotten = first && !this.#rewinding && this.#refusedCode === 0; // else it stands behind a failure
      this.#rewinding = true;
      if (forgotten) this.#options.owner.producerRefused(false);
    } else if (contentCodes.includes(code)) {
      this.#rewinding = true;
      if (first && code === corrupt && this.#damaged !== batch) this.#damaged = batch;
      else if (first) this.#refusedCode = code;
    } else if (factsOf(code).retriable) {
      this.#rewinding = true;
      const backoff = slowCodes.includes(code) ? this.#slow : this.#fast;
      if (first) this.#restMs = backoff.nextMs(this.#options.random);
    } else {
      this.#rewinding = true;
      this.#options.owner.fatal(toHoldfastError(kafkaErrorOfCode(code, `${this.topic}-${this.partition}`)));
    }
  }

  #ack(batch: PendingBatch): void {
    this.#pending.shift();
    this.#sequence = sequenceAfter(this.#sequence, batch.recordCount);
    this.#known = true;
    this.#fast.reset();
    this.#slow.reset();
    this.#counters.ackedBatches += 1;
    this.#ackedBatches += 1;
    this.#counters.ackedRecords += batch.recordCount;
    this.#options.owner.ackedSome();
    this.#finish(batch.stake);
  }

  /** One part of what was appended as a batch is done. */
  #finish(stake: Stake): void {
    stake.parts -= 1;
    if (stake.parts > 0) return;
    this.#unackedBytes -= stake.bytes;
    if (stake.refusal === null) stake.done.resolve(undefined);
    else stake.done.reject(stake.refusal);
    const failures: unknown[] = [];
    for (const [listener, bytes] of stake.listeners) {
      try {
        listener.acked(bytes); // what was refused comes back as credit, too
      } catch (thrown) {
        failures.push(thrown); // the others hear of theirs all the same
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, messageOf(failures[0]));
  }

  /** After each answer or loss: once nothing is under way, begins again from the first unacked batch (P2). */
  #settle(): void {
    this.#inFlight -= 1;
    if (this.#ended) return;
    if (!this.#rewinding) {
      if (this.#inFlight === 0) this.#options.owner.quiet();
      this.#wake();
      return;
    }
    if (this.#inFlight > 0) return;
    if (this.#refusedCode !== 0) {
      const code = this.#refusedCode;
      this.#rewriting = true;
      this.#refusedCode = 0;
      void this.#rewriteFirst(code);
      return;
    }
    this.#goOn();
  }

  #goOn(): void {
    this.#rewinding = false;
    this.#options.owner.quiet();
    if (this.#options.owner.identity() === null) return; // `restart` goes on
    const restMs = this.#restMs;
    this.#restMs = 0;
    if (restMs > 0) this.#options.dispatcher.rest(this, restMs);
    else this.#wake();
  }

  #seal(): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    const { recordCount } = this.#builder;
    const { stake, groupStarts } = open;
    const state = { replacing: false, sent: false, uncertain: false };
    const pending: PendingBatch = { sealed: null, recordCount, stake, groupStarts, ...state };
    this.#pending.push(pending);
    const sealed = this.#builder.seal(this.#options.compressor);
    if (!(sealed instanceof Promise)) {
      pending.sealed = sealed;
      return;
    }
    sealed.then(
      (batch) => {
        pending.sealed = batch;
        this.#wake();
      },
      (thrown: unknown) =>
        this.#options.owner.fatal(toHoldfastError(new Error(`compression failed: ${messageOf(thrown)}`))),
    );
  }

  /** Splits the first batch, or replaces its only record (P5). */
  async #rewriteFirst(code: number): Promise<void> {
    try {
      const batch = this.#pending[0];
      const sealed = batch?.sealed ?? null;
      if (batch === undefined || sealed === null) return;
      const [encoded] = decodeBatches(sealed.anonymousBytes());
      if (encoded === undefined) throw new Error('a sealed batch is whole');
      const records = await decodeRecords(encoded);
      if (batch !== this.#pending[0]) return; // ended meanwhile
      if (records.length > 1) this.#pending.splice(0, 1, ...splitBatch(batch, records));
      else if (records[0] !== undefined) this.#giveUp(batch, records[0], code);
    } catch (thrown) {
      this.#options.owner.fatal(toHoldfastError(thrown));
    } finally {
      this.#rewriting = false;
      if (!this.#ended) this.#goOn();
    }
  }

  #giveUp(batch: PendingBatch, record: DecodedRecord, code: number): void {
    this.#counters.givenUpRecords += 1;
    const instead = batch.replacing ? 'reject' : this.#options.owner.refused(record);
    if (typeof instead === 'object') {
      this.#pending[0] = replaceBatch(batch, instead);
      return;
    }
    this.#pending.shift();
    if (instead === 'reject') batch.stake.refusal = recordRefusal(code, `${this.topic}-${this.partition}`);
    if (this.#pending.some(({ uncertain }) => uncertain)) this.#options.owner.producerRefused(false); // P6
    this.#finish(batch.stake);
  }
}
