import { HoldfastError } from '../errors.ts';
import { deferred, type Deferred } from '../deferred.ts';
import { type Component } from '../lifecycle.ts';
import { factsOf, isDenied, type KafkaError, recordRefusal, toHoldfastError } from './errors.ts';
import { type KafkaOptions } from './connection.ts';
import { type ProduceBatch, ProduceDispatcher, type ProduceSource } from './produce-dispatcher.ts';
import { type ProduceAnswer } from './produce-protocol.ts';
import { BatchBuilder, type SealedBatch } from './record-batch.ts';

/**
 * The unfenced writer: acks=all, no producer id, one batch per call. For records whose truth does not depend on who
 * writes them: devices, profiles, schemas, instances, the plan, `released`.
 *
 * A call's records are one batch; calls for one partition are written in order, one at a time. After a lost answer the
 * batch is sent again, so records may appear twice. Repeats until it is answered, the signal aborts or the producer stops.
 */
export interface ProducerRecord {
  readonly key: Buffer;
  /** null: a tombstone. */
  readonly value: Buffer | null;
  /** Value of the header `hf`. */
  readonly header?: Buffer | null;
}

export interface ProducerOptions {
  readonly kafka: KafkaOptions;
}

export class Producer implements Component {
  readonly name = 'producer';
  readonly #options: ProducerOptions;
  readonly #dispatcher: ProduceDispatcher;
  readonly #queues = new Map<string, PartitionQueue>();
  #stopped = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
    const { kafka } = options;
    this.#dispatcher = new ProduceDispatcher({ kafka, clock: kafka.clock, logger: kafka.logger, lingerMs: 0 });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#dispatcher.start(signal);
  }

  /** What is not answered yet rejects. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const reason = new HoldfastError('KAFKA_UNAVAILABLE', 'the producer was stopped before Kafka answered');
    for (const queue of this.#queues.values()) queue.end(reason);
    await this.#dispatcher.stop();
  }

  get kafkaOk(): boolean {
    return this.#dispatcher.kafkaOk;
  }

  /**
   * Resolves with the offset of the first record once all are durable. Rejects with a `HoldfastError` when Kafka refuses
   * for good, or with the signal's reason: then the records may have been written or not.
   */
  send(topic: string, partition: number, records: readonly ProducerRecord[], signal?: AbortSignal): Promise<bigint> {
    if (this.#stopped) return Promise.reject(new HoldfastError('KAFKA_UNAVAILABLE', 'the producer is stopped'));
    if (records.length === 0) return Promise.reject(new RangeError('a send needs at least one record'));
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const builder = new BatchBuilder();
    const timestampMs = this.#options.kafka.clock.nowMs();
    for (const { key, value, header } of records) builder.append(key, null, value, header ?? null, timestampMs);
    const batch = builder.seal();
    if (batch instanceof Promise) throw new Error('an uncompressed batch is sealed at once');
    return this.#queue(topic, partition).send(batch, signal);
  }

  #queue(topic: string, partition: number): PartitionQueue {
    const key = `${topic}\0${partition}`;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new PartitionQueue(topic, partition, this.#dispatcher);
      this.#queues.set(key, queue);
    }
    return queue;
  }
}

interface Waiting {
  readonly batch: SealedBatch;
  readonly done: Deferred<bigint>;
}

const retryMs = 100;

/** Batches of one partition; the first one is under way or about to be. */
class PartitionQueue implements ProduceSource {
  readonly topic: string;
  readonly partition: number;
  readonly #dispatcher: ProduceDispatcher;
  readonly #waiting: Waiting[] = [];
  #inFlight = false;

  constructor(topic: string, partition: number, dispatcher: ProduceDispatcher) {
    this.topic = topic;
    this.partition = partition;
    this.#dispatcher = dispatcher;
  }

  send(batch: SealedBatch, signal?: AbortSignal): Promise<bigint> {
    const waiting: Waiting = { batch, done: deferred<bigint>() };
    this.#waiting.push(waiting);
    if (!this.#inFlight) this.#dispatcher.ready(this);
    if (signal === undefined) return waiting.done.promise;
    const onAbort = (): void => {
      this.#remove(waiting);
      waiting.done.reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return waiting.done.promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  take(): ProduceBatch | null {
    const first = this.#waiting[0];
    if (first === undefined || this.#inFlight) return null;
    this.#inFlight = true;
    return {
      bytes: first.batch.anonymousBytes(),
      answered: (answer) => {
        this.#inFlight = false;
        this.#answered(first, answer);
      },
      lost: (error) => {
        this.#inFlight = false;
        this.#lost(first, error);
      },
    };
  }

  #answered(batch: Waiting, { code, baseOffset }: ProduceAnswer): void {
    if (code !== 0 && factsOf(code).retriable) {
      this.#again();
      return;
    }
    this.#remove(batch);
    if (code === 0) batch.done.resolve(baseOffset);
    else batch.done.reject(recordRefusal(code, `${this.topic}-${this.partition}`));
    if (this.#waiting.length > 0) this.#dispatcher.ready(this);
  }

  #lost(batch: Waiting, error: KafkaError): void {
    if (isDenied(error) || !error.retriable) {
      this.#remove(batch);
      batch.done.reject(toHoldfastError(error));
    }
    this.#again();
  }

  end(reason: Error): void {
    for (const { done } of this.#waiting.splice(0)) done.reject(reason);
    this.#dispatcher.forget(this);
  }

  #again(): void {
    if (this.#waiting.length === 0) return;
    this.#dispatcher.counters.retriedBatches += 1;
    this.#dispatcher.rest(this, retryMs);
  }

  #remove(batch: Waiting): void {
    const at = this.#waiting.indexOf(batch);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
