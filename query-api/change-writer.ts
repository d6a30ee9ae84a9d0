/**
 * Changes that a request makes to a compacted topic: the one way in which a query-api writes what others asked for.
 *
 * CW1. `write` resolves when every record is durable *and* in this instance's table: who then asks here, sees it.
 * CW2. It takes at most `writeTimeoutMs`. A change that is late may still take effect, and the error says so.
 */
import { manyWaits, raceAbort } from '../core/abort.ts';
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type RecordCodec } from '../schemas/record-codec.ts';
import { type MessageName } from '../schemas/topics.ts';
import { type Rows } from './tables.ts';

/** A table that can be waited for. */
export interface WritableRows<V> extends Rows<V> {
  waitFor(partition: number, offset: bigint, signal: AbortSignal): Promise<void>;
}

export interface RecordSender {
  /** Resolves with the offset of the first record once all are durable. */
  send(
    topic: string,
    partition: number,
    records: readonly { key: Buffer; value: Buffer | null; header?: Buffer | null }[],
  ): Promise<bigint>;
}

export interface ChangeWriterOptions {
  readonly sender: RecordSender;
  /** The 6 bytes before a message. */
  readonly framePrefix: (topic: string, message: MessageName) => Buffer;
  readonly writeTimeoutMs: number;
  readonly clock: Clock;
}

/** `value` null deletes. */
export interface ChangedRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

export class ChangeWriter {
  readonly #options: ChangeWriterOptions;

  constructor(options: ChangeWriterOptions) {
    this.#options = options;
  }

  /** A record's value, framed. Throws `KAFKA_UNAVAILABLE` while the schema ids are not known. */
  value<V>(topic: string, codec: RecordCodec<V>, record: V): Buffer {
    return Buffer.concat([this.#options.framePrefix(topic, codec.message), codec.encode(record)]);
  }

  /** `topic` is the full name, `rows` the table that follows it. Throws `KAFKA_UNAVAILABLE`. */
  async write(
    topic: string,
    rows: Pick<WritableRows<unknown>, 'waitFor'>,
    byPartition: ReadonlyMap<number, readonly ChangedRecord[]>,
  ): Promise<void> {
    const { sender, clock, writeTimeoutMs } = this.#options;
    const waiting = new AbortController();
    const late = new HoldfastError(
      'KAFKA_UNAVAILABLE',
      `the change was not durable and visible within ${writeTimeoutMs} ms; it may still take effect: read it again, or repeat it`,
      { retryable: true },
    );
    const signal = manyWaits(waiting.signal); // one or two per partition
    const timer = clock.after(writeTimeoutMs, () => waiting.abort(late)); // CW2
    try {
      await Promise.all(
        [...byPartition].map(async ([partition, records]) => {
          const first = await raceAbort(sender.send(topic, partition, records), signal);
          await rows.waitFor(partition, first + BigInt(records.length - 1), signal); // CW1
        }),
      );
    } finally {
      timer.cancel();
    }
  }
}
