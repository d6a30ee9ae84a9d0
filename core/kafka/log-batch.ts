import { decodeFrame } from '../../schemas/frame.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { type FetchedPartition } from './fetch-protocol.ts';
import { decodeBatches, type DecodedRecord, decodeRecords } from './record-batch.ts';

/** What a reader hands over: the records of one partition out of one response. */
export interface LogRecord {
  readonly offset: bigint;
  /** Kafka's record timestamp, unix milliseconds. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  /** null: a tombstone. Key, value and header are views into the response; holding one holds all of it. */
  readonly value: Buffer | null;
  /** Header `hf`; null: none. */
  readonly header: Buffer | null;
}

/** The message in a record's frame. Throws `RecordMalformed`, for a tombstone too. */
export function recordMessage({ value }: LogRecord): Buffer {
  if (value === null) throw new RecordMalformed('a tombstone has no message');
  return decodeFrame(value).message;
}

export interface LogBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly LogRecord[];
  /** First offset after the batch: where to go on, whatever records it holds. */
  readonly nextOffset: bigint;
  /** End of the log as the broker saw it. */
  readonly highWatermark: bigint;
}

/**
 * The records from `from` on: a broker sends whole batches, so the first may begin before. Null: not one whole batch.
 * A promise only where a codec has no synchronous form. Throws or rejects with `BatchCorrupt`.
 */
export function readRecords(fetched: FetchedPartition, from: bigint): LogBatch | null | Promise<LogBatch> {
  const { topic, partition, highWatermark } = fetched;
  const batches = decodeBatches(fetched.records);
  const last = batches.at(-1);
  if (last === undefined) return null;
  const parts = batches.map(decodeRecords);
  const whole = (decoded: readonly DecodedRecord[][]): LogBatch => {
    const records: LogRecord[] = [];
    for (const part of decoded) {
      for (const record of part) if (record.offset >= from) records.push(record);
    }
    return { topic, partition, records, nextOffset: last.nextOffset, highWatermark };
  };
  return parts.some((part) => part instanceof Promise)
    ? Promise.all(parts.map(async (part) => part)).then(whole)
    : whole(parts as DecodedRecord[][]);
}
