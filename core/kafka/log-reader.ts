import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Component } from '../lifecycle.ts';
import { type Logger } from '../logger.ts';
import { type Random, systemRandom } from '../random.ts';
import { earliestTimestamp, latestTimestamp } from './broker-handle.ts';
import { loadCodecs } from './compression.ts';
import { KafkaConnection, type KafkaOptions } from './connection.ts';
import { isDenied, type KafkaError, kafkaError, kafkaErrorOfCode, toHoldfastError } from './errors.ts';
import { decodeFetch, encodeFetch, fetchApi, type FetchedPartition } from './fetch-protocol.ts';
import { type LogBatch, readRecords } from './log-batch.ts';
import { LogPartition } from './log-partition.ts';
import { ReadTrouble } from './read-trouble.ts';

export { type LogBatch, type LogRecord, recordMessage } from './log-batch.ts';

/**
 * Reads partitions from a position on and follows them for ever: no consumer group, no committed offsets, whoever
 * applies the records keeps the position.
 *
 * One loop finds leaders; one loop per broker sends it one Fetch at a time for all its partitions that are ready.
 *
 * R1. A partition with records in its handler is not fetched: back-pressure, and order within a partition.
 * R2. A partition that got data goes to the end of the order, because the broker fills a response front to back and
 *     only its first batch may exceed the limits: every partition comes first in its turn.
 * R3. What arrives for a partition that was unassigned meanwhile is thrown away.
 * R4. Nothing ends the reader but `stop`, a handler that throws, and a broker that refuses who we are.
 */
export interface LogReaderOptions {
  readonly kafka: KafkaOptions;
  /** What is read; in logs. */
  readonly name: string;
  /** Awaited: no more of this partition until it is done. A rejection is fatal. Views live as long as they are held. */
  readonly onBatch: (batch: LogBatch) => void | Promise<void>;
  /** The wanted offset is not in the log any more; reading goes on at the earliest unless this assigns anew. */
  readonly onOutOfRange?: (topic: string, partition: number) => void;
  /** The reader has stopped for good; the process should. */
  readonly onFatal?: (error: HoldfastError) => void;
  /** How long a broker may hold a request with nothing to answer. */
  readonly maxWaitMs?: number;
  /** Soft limits of a response, and of one partition's part. */
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
}

/** While handlers are busy the others' long poll is short, so that they wait no longer than this to be fetched again. */
const shortWaitMs = 20;
/** A handler that is done within this time is waited for before the next request: fewer, larger requests. */
const settleMs = 10;
/** A long poll that is answered this much too late counts as no answer. */
const graceMs = 10_000;
/** Without any answer for this long Kafka is away, as `kafkaOk` sees it. */
const silenceMs = 5_000;
const offsetOutOfRange = 1;
const leaderNotAvailable = 5;

export class LogReader implements Component {
  readonly name: string;
  readonly #options: LogReaderOptions;
  readonly #connection: KafkaConnection;
  readonly #maxWaitMs: number;
  readonly #random: Random;
  /** In the order in which the next request names them (R2). */
  readonly #partitions = new Map<string, LogPartition>();
  /** Node ids with a running loop. */
  readonly #fetching = new Set<number>();
  readonly #loops = new Set<Promise<void>>();
  readonly #sleepers = new Set<() => void>();
  readonly #trouble: ReadTrouble;
  /** The next failure is our own doing. */
  #letGo = false;
  #running = false;
  #stopped = false;
  #lastResponseAtMonotonicMs: number | null = null;
  #startedAtMonotonicMs = 0;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.name = `log reader of ${options.name}`;
    this.#maxWaitMs = options.maxWaitMs ?? 500;
    this.#random = options.random ?? systemRandom;
    this.#trouble = new ReadTrouble(options);
    const requestTimeoutMs = this.#maxWaitMs + graceMs;
    this.#connection = new KafkaConnection(options.kafka, { name: options.name, requestTimeoutMs });
  }

  /** Does not wait for Kafka: `caughtUp` does. */
  async start(_signal: AbortSignal): Promise<void> {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#startedAtMonotonicMs = this.#options.clock.monotonicMs();
    await loadCodecs();
    this.#spawn(this.#followLeaders());
  }

  /** Ends the long polls at once. A handler that is still running is not waited for; nothing is handed over after. */
  async stop(): Promise<void> {
    this.#end(new Error(`${this.name} was stopped`));
    while (this.#loops.size > 0) {
      await Promise.race([...this.#loops, this.#options.clock.sleep(20)]);
      this.#connection.destroy('the reader stops'); // a loop under way may have opened the next connection
    }
  }

  /** Reads from `from` on; assigned already: begins again there. May be called before `start`. */
  assign(topic: string, partition: number, from: 'earliest' | bigint): void {
    const key = keyOf(topic, partition);
    this.#partitions.get(key)?.remove(new Error(`${key} was assigned anew`));
    this.#partitions.delete(key);
    const assigned = new LogPartition(topic, partition, from);
    this.#partitions.set(key, assigned);
    if (this.#stopped) assigned.remove(new Error(`${this.name} was stopped`));
    this.#notify();
  }

  unassign(topic: string, partition: number): void {
    const key = keyOf(topic, partition);
    this.#partitions.get(key)?.remove(new Error(`${key} was unassigned`)); // R3
    this.#partitions.delete(key);
    this.#trouble.over(key);
    this.#notify();
  }

  /** Resolves when the records up to the end noted at `assign` are processed. Rejects when it is unassigned. */
  async caughtUp(topic: string, partition: number, signal: AbortSignal): Promise<void> {
    await this.#partition(topic, partition).reach('end', signal);
  }

  /** Resolves when the record at `offset` is processed: reads your writes. */
  async waitFor(topic: string, partition: number, offset: bigint, signal: AbortSignal): Promise<void> {
    await this.#partition(topic, partition).reach(offset + 1n, signal);
  }

  /** Asks where the log ends now and resolves when everything before is processed. */
  async readToEnd(topic: string, partition: number, signal: AbortSignal): Promise<void> {
    await this.caughtUp(topic, partition, signal);
    const backoff = new Backoff({ initialMs: 50, maxMs: 1_000, factor: 2, jitter: 0.5 });
    for (;;) {
      const target = this.#partition(topic, partition);
      const end = await this.#endOf(target).catch(() => null);
      if (end !== null) return target.reach(end, signal);
      await this.#options.clock.sleep(backoff.nextMs(this.#random), signal);
    }
  }

  /** Records not yet processed; null while unknown. */
  lag(topic: string, partition: number): bigint | null {
    return this.#partitions.get(keyOf(topic, partition))?.lag ?? null;
  }

  /** First offset not yet processed; null until the log was asked where it begins. */
  nextOffset(topic: string, partition: number): bigint | null {
    return this.#partitions.get(keyOf(topic, partition))?.nextOffset ?? null;
  }

  isCaughtUp(topic: string, partition: number): boolean {
    return this.#partitions.get(keyOf(topic, partition))?.caughtUp === true;
  }

  /** When a broker last answered a Fetch, an empty answer included; null: never. */
  get lastResponseAtMonotonicMs(): number | null {
    return this.#lastResponseAtMonotonicMs;
  }

  /** When the broker last told where this partition ends; null: never. Other brokers may have answered since. */
  answeredAtMonotonicMs(topic: string, partition: number): number | null {
    return this.#partitions.get(keyOf(topic, partition))?.answeredAtMonotonicMs ?? null;
  }

  /** False: no broker has answered for seconds, although there is something to ask for. */
  get kafkaOk(): boolean {
    const waiting = [...this.#partitions.values()].filter((partition) => !partition.busy);
    if (waiting.length === 0 || !this.#running) return true;
    const sinceMs = this.#lastResponseAtMonotonicMs ?? this.#startedAtMonotonicMs;
    return this.#options.clock.monotonicMs() - sinceMs <= silenceMs + this.#maxWaitMs;
  }

  /** New connections for what follows: for a link that looks alive and brings nothing. Positions stay. */
  reconnect(): void {
    this.#letGo = true;
    this.#connection.destroy('the reader connects anew');
  }

  #partition(topic: string, partition: number): LogPartition {
    const found = this.#partitions.get(keyOf(topic, partition));
    if (found === undefined) throw new Error(`${keyOf(topic, partition)} is not assigned to ${this.name}`);
    return found;
  }

  /** Finds leaders for partitions without one, and starts their brokers' loops. */
  async #followLeaders(): Promise<void> {
    while (!this.#stopped) {
      const nowMs = this.#options.clock.monotonicMs();
      const homeless = [...this.#partitions.values()].filter((partition) => partition.leader === null);
      const due = homeless.filter((partition) => partition.retryAtMonotonicMs <= nowMs);
      if (due.length === 0) {
        await this.#change(soonest(homeless, nowMs));
        continue;
      }
      try {
        await this.#connection.refreshMetadata([...new Set(due.map(({ topic }) => topic))]);
        this.#trouble.over('metadata');
      } catch (thrown) {
        if (this.#failOnDenial(thrown)) return;
        this.#noteTrouble('metadata', kafkaError(thrown));
      }
      for (const partition of due) {
        partition.leader = this.#connection.leaderOf(partition.topic, partition.partition) ?? null;
        if (partition.leader !== null) this.#fetchFrom(partition.leader);
      }
      const left = due.filter((partition) => partition.leader === null && !partition.removed);
      if (left.length === 0) continue;
      for (const { topic, partition } of left) {
        const key = keyOf(topic, partition);
        this.#noteTrouble(key, kafkaErrorOfCode(leaderNotAvailable, key));
      }
      this.#retryLater(left);
    }
  }

  #fetchFrom(node: number): void {
    if (this.#fetching.has(node)) {
      this.#notify();
      return;
    }
    this.#fetching.add(node);
    this.#spawn(this.#fetchLoop(node));
  }

  /** Serves the partitions that this broker leads; ends when there is none, or when the broker fails. */
  async #fetchLoop(node: number): Promise<void> {
    try {
      while (!this.#stopped) {
        const mine = [...this.#partitions.values()].filter((partition) => partition.leader === node);
        if (mine.length === 0) return;
        const nowMs = this.#options.clock.monotonicMs();
        const idle = mine.filter((partition) => !partition.busy); // R1
        const due = idle.filter((partition) => partition.retryAtMonotonicMs <= nowMs);
        if (due.length === 0) await this.#change(soonest(idle, nowMs));
        else if (!(await this.#serve(node, due, due.length === mine.length ? this.#maxWaitMs : shortWaitMs))) return;
      }
    } finally {
      this.#fetching.delete(node);
    }
  }

  /** One round with a broker. False: it failed, and its partitions look for their leader again after a while. */
  async #serve(node: number, due: readonly LogPartition[], maxWaitMs: number): Promise<boolean> {
    try {
      await this.#resolve(node, due);
      await this.#fetch(node, due, maxWaitMs);
      this.#trouble.over(`broker ${node}`);
      return true;
    } catch (thrown) {
      if (this.#stopped || this.#failOnDenial(thrown)) return false;
      if (!this.#letGo) this.#noteTrouble(`broker ${node}`, kafkaError(thrown));
      this.#letGo = false;
      const mine = [...this.#partitions.values()].filter((partition) => partition.leader === node);
      for (const partition of mine) partition.leader = null;
      this.#retryLater(mine);
      return false;
    }
  }

  /** Asks where the logs begin and end, before anything of them is read. */
  async #resolve(node: number, due: readonly LogPartition[]): Promise<void> {
    const unknown = due.filter((partition) => partition.nextOffset === null);
    if (unknown.length === 0) return;
    const broker = this.#connection.broker(node);
    const at = (timestamp: bigint) =>
      broker.listOffsets(unknown.map(({ topic, partition }) => ({ topic, partition, timestamp })));
    const [earliest, latest] = await Promise.all([at(earliestTimestamp), at(latestTimestamp)]);
    const found = (list: typeof earliest, { topic, partition }: LogPartition) =>
      list.find((entry) => entry.topic === topic && entry.partition === partition);
    const failed: LogPartition[] = [];
    for (const partition of unknown) {
      const begin = found(earliest, partition);
      const end = found(latest, partition);
      if (partition.removed || begin === undefined || end === undefined) continue;
      const code = begin.code === 0 ? end.code : begin.code;
      if (code === 0) {
        partition.answeredAtMonotonicMs = this.#options.clock.monotonicMs();
        if (!partition.resolve(begin.offset, end.offset)) this.#outOfRange(partition);
      } else if (!this.#partitionFailed(partition, code)) failed.push(partition);
    }
    this.#retryLater(failed);
  }

  async #fetch(node: number, due: readonly LogPartition[], maxWaitMs: number): Promise<void> {
    const { maxBytes = 4_194_304, partitionMaxBytes = 1_048_576, clock } = this.#options;
    const asked = new Map<string, LogPartition>();
    const targets = due.flatMap((entry) => {
      const { topic, partition, nextOffset, removed, leader } = entry;
      if (nextOffset === null || removed || leader !== node) return [];
      asked.set(keyOf(topic, partition), entry);
      return [{ topic, partition, fetchOffset: nextOffset }];
    });
    if (targets.length === 0) return;
    const body = encodeFetch(targets, { maxWaitMs, maxBytes, partitionMaxBytes });
    const response = decodeFetch(await this.#connection.broker(node).send(fetchApi.key, fetchApi.version, body));
    if (response.errorCode !== 0) throw kafkaErrorOfCode(response.errorCode, `Fetch of ${this.#options.name}`);
    this.#lastResponseAtMonotonicMs = clock.monotonicMs();
    const failed: LogPartition[] = [];
    for (const fetched of response.partitions) {
      const partition = asked.get(keyOf(fetched.topic, fetched.partition));
      if (partition === undefined || partition.removed || this.#stopped) continue; // R3
      if (fetched.errorCode === 0) {
        this.#trouble.over(keyOf(fetched.topic, fetched.partition));
        partition.backoff.reset();
        this.#deliver(partition, fetched);
      } else if (fetched.errorCode === offsetOutOfRange) this.#outOfRange(partition);
      else if (!this.#partitionFailed(partition, fetched.errorCode)) failed.push(partition);
    }
    this.#retryLater(failed);
    const untilMs = clock.monotonicMs() + settleMs;
    while (!this.#stopped && due.some((partition) => partition.busy && !partition.removed)) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) return;
      await this.#change(leftMs);
    }
  }

  #deliver(partition: LogPartition, fetched: FetchedPartition): void {
    partition.sawHighWatermark(fetched.highWatermark);
    partition.answeredAtMonotonicMs = this.#lastResponseAtMonotonicMs;
    if (fetched.records.length === 0) return;
    const key = keyOf(partition.topic, partition.partition);
    partition.busy = true;
    void this.#handOver(partition, fetched)
      .catch((thrown: unknown) => {
        if (!partition.removed && !this.#stopped) this.#fail(handlerError(key, thrown));
      })
      .finally(() => {
        partition.busy = false;
        this.#notify();
      });
  }

  async #handOver(partition: LogPartition, fetched: FetchedPartition): Promise<void> {
    let batch: LogBatch | null;
    try {
      const read = readRecords(fetched, partition.nextOffset ?? 0n);
      batch = read instanceof Promise ? await read : read;
    } catch (thrown) {
      if (thrown instanceof HoldfastError) throw thrown; // a codec that is not installed here
      // Not fatal: bytes that were damaged on the way are whole the next time, and the log says what is wrong if not.
      if (!this.#stopped) this.#trouble.damaged(keyOf(partition.topic, partition.partition), messageOf(thrown));
      this.#retryLater([partition]);
      return;
    }
    if (batch === null || partition.removed || this.#stopped) return; // R3; null: no whole batch fitted, R2
    const key = keyOf(partition.topic, partition.partition);
    this.#partitions.delete(key);
    this.#partitions.set(key, partition); // R2
    if (batch.records.length > 0) await this.#options.onBatch(batch);
    partition.advance(batch.nextOffset);
  }

  #outOfRange(partition: LogPartition): void {
    const { topic, partition: number } = partition;
    this.#options.logger.warn({ reader: this.#options.name, topic, partition: number }, 'offset not in the log');
    partition.reset();
    this.#options.onOutOfRange?.(topic, number);
  }

  /** True: the reader has ended. */
  #partitionFailed(partition: LogPartition, code: number): boolean {
    const about = keyOf(partition.topic, partition.partition);
    const error = kafkaErrorOfCode(code, about);
    if (this.#failOnDenial(error)) return true;
    this.#noteTrouble(about, error);
    if (error.staleMetadata) partition.leader = null;
    return false;
  }

  /** Those that failed together are asked for together; how long that takes is each one's own history. */
  #retryLater(partitions: readonly LogPartition[]): void {
    if (partitions.length === 0) return;
    const delayMs = Math.max(...partitions.map(({ backoff }) => backoff.nextMs(this.#random)));
    const atMs = this.#options.clock.monotonicMs() + delayMs;
    for (const partition of partitions) partition.retryAtMonotonicMs = atMs;
    this.#notify();
  }

  async #endOf({ topic, partition, leader }: LogPartition): Promise<bigint | null> {
    if (leader === null) return null;
    const [end] = await this.#connection.broker(leader).listOffsets([{ topic, partition, timestamp: latestTimestamp }]);
    return end?.code === 0 ? end.offset : null;
  }

  #failOnDenial(thrown: unknown): boolean {
    const error = kafkaError(thrown);
    if (!isDenied(error)) return false;
    this.#fail(toHoldfastError(error)); // R4
    return true;
  }

  #fail(error: HoldfastError): void {
    if (this.#stopped) return;
    this.#options.logger.error({ reader: this.#options.name, code: error.code, cause: error.message }, 'reader failed');
    this.#end(error);
    this.#options.onFatal?.(error);
  }

  #end(reason: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const partition of this.#partitions.values()) partition.remove(reason);
    this.#connection.destroy('the reader stops');
    this.#notify();
  }

  #noteTrouble(place: string, error: KafkaError): void {
    if (!this.#stopped) this.#trouble.failed(place, error);
  }

  #spawn(loop: Promise<void>): void {
    const watched = loop
      .catch((thrown: unknown) => this.#fail(handlerError(this.name, thrown)))
      .finally(() => this.#loops.delete(watched));
    this.#loops.add(watched);
  }

  /** Waits for any change of what there is to do, or `ms`. */
  #change(ms: number | null): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer?.cancel();
        this.#sleepers.delete(done);
        resolve();
      };
      const timer = ms === null ? null : this.#options.clock.after(Math.max(ms, 1), done);
      this.#sleepers.add(done);
    });
  }

  #notify(): void {
    for (const wake of [...this.#sleepers]) wake();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

/** Milliseconds until the first of them may be asked for again; null: none waits for time to pass. */
function soonest(partitions: readonly LogPartition[], nowMs: number): number | null {
  if (partitions.length === 0) return null;
  return Math.min(...partitions.map((partition) => partition.retryAtMonotonicMs)) - nowMs;
}

function handlerError(what: string, thrown: unknown): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  return new HoldfastError('INTERNAL', `reading ${what} failed: ${messageOf(thrown)}`, { cause: thrown });
}
