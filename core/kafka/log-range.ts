/**
 * Reads stretches of logs for whoever asks, a fetch at a time: for readers that come from behind, beside the one that
 * follows. Over connections of its own, so that it holds nobody up.
 *
 * G1. At most `fetchesMax` fetches are under way, and who asks first is served first: one reader has one turn among all.
 * G2. A fetch is answered with whole batches, at least one; what the broker does not give within `giveUpMs` rejects.
 */
import { raceAbort } from '../abort.ts';
import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { deferred, type Deferred } from '../deferred.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Random, systemRandom } from '../random.ts';
import { loadCodecs } from './compression.ts';
import { KafkaConnection, type KafkaOptions } from './connection.ts';
import { isDenied, kafkaError, kafkaErrorOfCode, toHoldfastError } from './errors.ts';
import { decodeFetch, encodeFetch, fetchApi } from './fetch-protocol.ts';
import { type LogBatch, readRecords } from './log-batch.ts';

export interface LogRangeOptions {
  readonly kafka: KafkaOptions;
  /** What is read; in logs of brokers. */
  readonly name: string;
  readonly fetchesMax?: number;
  /** Soft limit of a fetch. */
  readonly bytesMax?: number;
  readonly giveUpMs?: number;
  readonly clock: Clock;
  readonly random?: Random;
}

const maxWaitMs = 500;
const requestTimeoutMs = 5_000;
const offsetOutOfRange = 1;
const leaderNotAvailable = 5;

export class LogRange {
  readonly #options: LogRangeOptions;
  readonly #connection: KafkaConnection;
  readonly #random: Random;
  readonly #fetchesMax: number;
  readonly #stopping = new AbortController();
  #fetches = 0;
  readonly #queue = new Set<Deferred<undefined>>();

  /** Inert until used. */
  constructor(options: LogRangeOptions) {
    this.#options = options;
    this.#connection = new KafkaConnection(options.kafka, { name: options.name, requestTimeoutMs });
    this.#random = options.random ?? systemRandom;
    this.#fetchesMax = options.fetchesMax ?? 4;
  }

  /** Fetches that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * What lies from `from` on, as one fetch brings it; `from` must lie before the end of the log. Rejects when `signal`
   * aborts, with `NOT_CAUGHT_UP` when the log does not hold the offset or cannot be read, and with `KAFKA_DENIED`.
   */
  async read(topic: string, partition: number, from: bigint, signal: AbortSignal): Promise<LogBatch> {
    const either = AbortSignal.any([signal, this.#stopping.signal]);
    await this.#turn(either);
    try {
      await raceAbort(loadCodecs(), either);
      return await this.#read(topic, partition, from, either);
    } finally {
      this.#fetches -= 1;
      this.#next();
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopping.abort(new Error(`${this.#options.name} stopped`));
    this.#connection.destroy('the reader stops');
  }

  /** G1. */
  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const turn = deferred<undefined>();
    this.#queue.add(turn);
    this.#next();
    try {
      await raceAbort(turn.promise, signal);
    } catch (thrown) {
      if (!this.#queue.delete(turn)) this.#fetches -= 1; // it had just been given one
      this.#next();
      throw thrown;
    }
  }

  #next(): void {
    for (const turn of this.#queue) {
      if (this.#fetches >= this.#fetchesMax) return;
      this.#fetches += 1;
      this.#queue.delete(turn);
      turn.resolve(undefined);
    }
  }

  async #read(topic: string, partition: number, from: bigint, signal: AbortSignal): Promise<LogBatch> {
    const { clock, giveUpMs = 10_000 } = this.#options;
    const backoff = new Backoff({ initialMs: 50, maxMs: 1_000, factor: 2, jitter: 0.5 });
    const untilMs = clock.monotonicMs() + giveUpMs;
    for (;;) {
      let cause: unknown;
      try {
        const batch = await this.#fetch(topic, partition, from, signal);
        if (batch !== null) return batch;
        cause = `nothing at offset ${from}`;
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        if (thrown instanceof HoldfastError) throw thrown;
        const error = kafkaError(thrown);
        if (isDenied(error)) throw toHoldfastError(error);
        cause = error;
      }
      if (clock.monotonicMs() >= untilMs) {
        const message = `${topic}-${partition} could not be read: ${messageOf(cause)}; try again in a second`;
        throw new HoldfastError('NOT_CAUGHT_UP', message, { cause, retryable: true }); // G2
      }
      await clock.sleep(backoff.nextMs(this.#random), signal);
    }
  }

  /** Null: not one whole batch. */
  async #fetch(topic: string, partition: number, from: bigint, signal: AbortSignal): Promise<LogBatch | null> {
    const { bytesMax = 262_144 } = this.#options;
    const about = `${topic}-${partition}`;
    if (this.#connection.leaderOf(topic, partition) === undefined) {
      await raceAbort(this.#connection.refreshMetadata([topic]), signal);
    }
    const leader = this.#connection.leaderOf(topic, partition);
    if (leader === undefined) throw kafkaErrorOfCode(leaderNotAvailable, about);
    const limits = { maxWaitMs, maxBytes: bytesMax, partitionMaxBytes: bytesMax };
    const body = encodeFetch([{ topic, partition, fetchOffset: from }], limits);
    const sent = this.#connection.broker(leader).send(fetchApi.key, fetchApi.version, body);
    const response = decodeFetch(await raceAbort(sent, signal));
    const [fetched] = response.partitions;
    const code = response.errorCode === 0 ? (fetched?.errorCode ?? 0) : response.errorCode;
    if (code === offsetOutOfRange) {
      throw new HoldfastError('NOT_CAUGHT_UP', `${about} does not hold offset ${from} any more; begin anew`);
    }
    if (code !== 0) {
      const error = kafkaErrorOfCode(code, about);
      if (error.staleMetadata) await raceAbort(this.#connection.refreshMetadata([topic]), signal);
      throw error;
    }
    return fetched === undefined ? null : readRecords(fetched, from);
  }
}
