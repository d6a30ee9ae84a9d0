import { raceAbort } from '../abort.ts';
import { Backoff } from '../backoff.ts';
import { deferred, type Deferred } from '../deferred.ts';

/**
 * Where a reader stands in one partition, and who waits for it to get further. Holds no connection and reads no clock.
 *
 * L1. `nextOffset` moves only when the records before it were handed over *and* their handler has finished.
 * L2. Caught up is decided by position: `nextOffset` has reached the end noted before reading. The last record's offset
 *     may lie below that end, and never be followed by another.
 */
export class LogPartition {
  readonly topic: string;
  readonly partition: number;
  /** Where to begin; `earliest` again after the log was cut off under us. */
  from: 'earliest' | bigint;
  /** Node id of the leader; null: ask for metadata. */
  leader: number | null = null;
  /** A handler has records of this partition; nothing is fetched for it meanwhile. */
  busy = false;
  /** When the broker last told where the log ends; null: never. */
  answeredAtMonotonicMs: number | null = null;
  /** Not to be asked for before this monotonic time, after an error of its own. */
  retryAtMonotonicMs = 0;
  /** Between its errors in a row. */
  readonly backoff = new Backoff({ initialMs: 50, maxMs: 2_000, factor: 2, jitter: 0.5 });
  #nextOffset: bigint | null = null;
  #endOffset: bigint | null = null;
  #highWatermark: bigint | null = null;
  #removed: Error | null = null;
  readonly #waiters = new Set<{ readonly until: bigint | 'end'; readonly done: Deferred<undefined> }>();

  constructor(topic: string, partition: number, from: 'earliest' | bigint) {
    this.topic = topic;
    this.partition = partition;
    this.from = from;
  }

  /** Unassigned: whatever still comes for it is thrown away. */
  get removed(): boolean {
    return this.#removed !== null;
  }

  /** First offset not yet processed; null until the log was asked where it begins. */
  get nextOffset(): bigint | null {
    return this.#nextOffset;
  }

  /** Records behind the end of the log, as of the last answer of the broker. */
  get lag(): bigint | null {
    if (this.#nextOffset === null || this.#highWatermark === null) return null;
    return this.#highWatermark > this.#nextOffset ? this.#highWatermark - this.#nextOffset : 0n;
  }

  get caughtUp(): boolean {
    return this.#nextOffset !== null && this.#endOffset !== null && this.#nextOffset >= this.#endOffset; // L2
  }

  /** The log's ends are known. False: the wanted start is not in the log, so `reset` and begin again. */
  resolve(earliest: bigint, latest: bigint): boolean {
    if (this.from !== 'earliest' && (this.from < earliest || this.from > latest)) return false;
    this.#endOffset = latest;
    this.#highWatermark = latest;
    this.#nextOffset = this.from === 'earliest' ? earliest : this.from;
    this.#wake();
    return true;
  }

  /** Begin again at the earliest record. */
  reset(): void {
    this.from = 'earliest';
    this.#nextOffset = null;
    this.#endOffset = null;
    this.#highWatermark = null;
  }

  sawHighWatermark(highWatermark: bigint): void {
    this.#highWatermark = highWatermark;
  }

  /** L1: to be called when everything before `nextOffset` is processed. Of no effect once it is removed. */
  advance(nextOffset: bigint): void {
    if (this.removed) return;
    this.#nextOffset = nextOffset;
    this.#wake();
  }

  /** Resolves once `nextOffset` has reached `until`; `end`: the end noted before reading. */
  async reach(until: bigint | 'end', signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#removed !== null) throw this.#removed;
    const waiter = { until, done: deferred<undefined>() };
    this.#waiters.add(waiter);
    this.#wake();
    try {
      await raceAbort(waiter.done.promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** Nobody will read further: who waits is told so. */
  remove(reason: Error): void {
    this.#removed = reason;
    for (const waiter of this.#waiters) waiter.done.reject(reason);
    this.#waiters.clear();
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      const reached =
        waiter.until === 'end' ? this.caughtUp : this.#nextOffset !== null && this.#nextOffset >= waiter.until;
      if (reached) waiter.done.resolve(undefined);
    }
  }
}
