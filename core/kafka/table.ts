import { manyWaits } from '../abort.ts';
import { type Clock } from '../clock.ts';
import { type HoldfastError, messageOf } from '../errors.ts';
import { type Component } from '../lifecycle.ts';
import { type Logger, RateLimited } from '../logger.ts';
import { type KafkaOptions } from './connection.ts';
import { type LogBatch, LogReader, type LogRecord } from './log-reader.ts';

/**
 * A compacted topic as a map in memory: read to its end, then followed for ever.
 *
 * T1. `start` resolves when every partition has reached the end that was noted before reading.
 * T2. Within a key the newer value wins, by `newer` where one is given, else the later record: compaction may keep a
 *     displaced writer's last record behind the rightful one.
 * T3. When the log is cut off below us the partition is read anew beside the present values and takes their place when
 *     it has caught up: no reader sees a half-filled table.
 */
export interface TableOptions<V> {
  readonly kafka: KafkaOptions;
  /** Full name. */
  readonly topic: string;
  readonly partitions: readonly number[];
  /** Throws for a record that is not understood: it is skipped, with a log line. */
  readonly decode: (key: string, record: LogRecord) => V;
  /** Called for every change, those before `start` resolves included. `record` is null where no record says so (T3). */
  readonly onChange?: (key: string, value: V | undefined, record: LogRecord | null) => void;
  /** Whether `candidate` takes the place of `present` (T2). */
  readonly newer?: (candidate: V, present: V) => boolean;
  readonly onFatal?: (error: HoldfastError) => void;
  readonly maxWaitMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry<V> {
  readonly value: V;
  readonly partition: number;
}

interface Rebuilt<V> {
  readonly value: V;
  readonly record: LogRecord;
}

export class Table<V> implements Component {
  readonly name: string;
  readonly #options: TableOptions<V>;
  readonly #reader: LogReader;
  readonly #entries = new Map<string, Entry<V>>();
  /** Partitions that are read anew (T3). */
  readonly #rebuilds = new Map<number, Map<string, Rebuilt<V>>>();
  readonly #stopping = new AbortController();
  /** Rebuilds wait on it, at most one per partition. */
  readonly #stopped = manyWaits(this.#stopping.signal);
  readonly #limited = new RateLimited();
  #version = 0;

  constructor(options: TableOptions<V>) {
    this.#options = options;
    this.name = `table ${options.topic}`;
    const { kafka, topic, clock, logger, onFatal, maxWaitMs } = options;
    this.#reader = new LogReader({
      kafka,
      clock,
      logger,
      name: topic,
      onBatch: (batch) => this.#apply(batch),
      onOutOfRange: (_topic, partition) => this.#rebuild(partition),
      ...(onFatal === undefined ? {} : { onFatal }),
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
    });
  }

  /** Resolves when caught up (T1); waits for a Kafka that is away until the signal aborts. */
  async start(signal: AbortSignal): Promise<void> {
    const { topic, partitions } = this.#options;
    for (const partition of partitions) this.#reader.assign(topic, partition, 'earliest');
    await this.#reader.start(signal);
    const shared = manyWaits(signal);
    await Promise.all(partitions.map((partition) => this.#reader.caughtUp(topic, partition, shared)));
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`${this.name} was stopped`));
    await this.#reader.stop();
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** In no particular order; a live view, so do not wait while iterating. */
  *entries(): IterableIterator<[string, V]> {
    for (const [key, entry] of this.#entries) yield [key, entry.value];
  }

  *values(): IterableIterator<V> {
    for (const entry of this.#entries.values()) yield entry.value;
  }

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Resolves when the record at `offset` is in the table: reads your writes. */
  waitFor(partition: number, offset: bigint, signal: AbortSignal): Promise<void> {
    return this.#reader.waitFor(this.#options.topic, partition, offset, signal);
  }

  /** Resolves when everything that is in the topic now is in the table. */
  async readToEnd(signal: AbortSignal): Promise<void> {
    const { topic, partitions } = this.#options;
    const shared = manyWaits(signal);
    await Promise.all(partitions.map((partition) => this.#reader.readToEnd(topic, partition, shared)));
  }

  get caughtUp(): boolean {
    return this.#options.partitions.every((partition) => this.#reader.isCaughtUp(this.#options.topic, partition));
  }

  /** Records not yet in the table, over all partitions; null while unknown. */
  get lag(): bigint | null {
    let sum = 0n;
    for (const partition of this.#options.partitions) {
      const lag = this.#reader.lag(this.#options.topic, partition);
      if (lag === null) return null;
      sum += lag;
    }
    return sum;
  }

  get kafkaOk(): boolean {
    return this.#reader.kafkaOk;
  }

  get lastResponseAtMonotonicMs(): number | null {
    return this.#reader.lastResponseAtMonotonicMs;
  }

  #apply(batch: LogBatch): void {
    const rebuilt = this.#rebuilds.get(batch.partition);
    for (const record of batch.records) {
      if (record.key === null) continue; // a compacted topic refuses such records
      const key = record.key.toString('utf8');
      if (record.value === null) {
        if (rebuilt !== undefined) rebuilt.delete(key);
        else if (this.#entries.delete(key)) this.#changed(key, undefined, record);
        continue;
      }
      const decoded = this.#decode(key, record);
      if (decoded === undefined) continue;
      if (rebuilt !== undefined) {
        if (this.#wins(decoded.value, rebuilt.get(key))) rebuilt.set(key, { value: decoded.value, record });
      } else if (this.#wins(decoded.value, this.#entries.get(key))) {
        this.#entries.set(key, { value: decoded.value, partition: batch.partition });
        this.#changed(key, decoded.value, record);
      }
    }
  }

  #changed(key: string, value: V | undefined, record: LogRecord | null): void {
    this.#version += 1;
    this.#options.onChange?.(key, value, record);
  }

  #wins(candidate: V, present: { readonly value: V } | undefined): boolean {
    return present === undefined || this.#options.newer === undefined || this.#options.newer(candidate, present.value); // T2
  }

  #decode(key: string, record: LogRecord): { readonly value: V } | undefined {
    const { decode, logger, clock, topic } = this.#options;
    try {
      return { value: decode(key, record) };
    } catch (thrown) {
      const suppressed = this.#limited.pass('decode', clock.monotonicMs());
      if (suppressed !== undefined) {
        const { offset } = record;
        logger.warn({ topic, key, offset: `${offset}`, cause: messageOf(thrown), suppressed }, 'record skipped');
      }
      return undefined;
    }
  }

  #rebuild(partition: number): void {
    const rebuilt = new Map<string, Rebuilt<V>>();
    this.#rebuilds.set(partition, rebuilt);
    const caughtUp = this.#reader.caughtUp(this.#options.topic, partition, this.#stopped);
    void caughtUp.catch(() => undefined).then(() => this.#replace(partition, rebuilt));
  }

  #replace(partition: number, rebuilt: ReadonlyMap<string, Rebuilt<V>>): void {
    if (this.#stopping.signal.aborted || this.#rebuilds.get(partition) !== rebuilt) return; // cut off once more
    this.#rebuilds.delete(partition);
    for (const [key, entry] of this.#entries) {
      if (entry.partition !== partition || rebuilt.has(key)) continue;
      this.#entries.delete(key);
      this.#changed(key, undefined, null);
    }
    for (const [key, { value, record }] of rebuilt) {
      this.#entries.set(key, { value, partition });
      this.#changed(key, value, record);
    }
  }
}
