import { deferred, type Deferred } from '../deferred.ts';
import { BatchBuilder, type DecodedRecord, type SealedBatch } from './record-batch.ts';

/**
 * A sealed batch that is not acked, and what hangs on it. Pure but for the promise of its stake.
 *
 * PB1. What was appended as one batch is one stake, however often it is cut: it is done when the last part is.
 * PB2. A cut goes between groups; a group is cut only when it is alone.
 */
export interface AckListener {
  /** Values of so many bytes, all of one batch, are durable. */
  acked(bytes: number): void;
}

export interface PartitionRecord {
  readonly key: Buffer | null;
  /** Stands before the value; null: nothing does. */
  readonly prefix: Buffer | null;
  readonly value: Buffer | null;
  readonly header: Buffer | null;
  readonly timestampMs: number;
}

/** What hangs on a batch, and on all parts of one that was split (PB1). */
export interface Stake {
  readonly done: Deferred<undefined>;
  readonly listeners: Map<AckListener, number>;
  /** Bytes of its records. */
  bytes: number;
  parts: number;
  /** A record of it was left out and its owner has to know: the stake ends with this. */
  refusal: Error | null;
}

export interface PendingBatch {
  /** null: being compressed. */
  sealed: SealedBatch | null;
  readonly recordCount: number;
  readonly stake: Stake;
  /** First record of each group that must stay together. */
  readonly groupStarts: readonly number[];
  /** Stands in the place of a record that was refused. */
  readonly replacing: boolean;
  sent: boolean;
  /** Sent and not answered: a copy of it may still be appended under the sequence that it had. */
  uncertain: boolean;
}

export function newStake(): Stake {
  const done = deferred<undefined>();
  done.promise.catch(() => undefined); // who waits hears of it; nobody has to wait
  return { done, listeners: new Map(), bytes: 0, parts: 1, refusal: null };
}

/** Two batches in the place of one, with the same records in the same order. `records` are at least two. */
export function splitBatch(batch: PendingBatch, records: readonly DecodedRecord[]): [PendingBatch, PendingBatch] {
  const half = records.length / 2;
  const starts = batch.groupStarts.filter((start) => start > 0);
  const near = (a: number, b: number): number => (Math.abs(a - half) <= Math.abs(b - half) ? a : b);
  const cut = starts.length === 0 ? Math.ceil(half) : starts.reduce(near); // PB2
  batch.stake.parts += 1;
  const part = (from: number, to: number): PendingBatch => ({
    ...batch,
    sealed: sealRecords(records.slice(from, to).map(asIs)),
    recordCount: to - from,
    groupStarts: batch.groupStarts.filter((start) => start >= from && start < to).map((start) => start - from),
  });
  return [part(0, cut), part(cut, records.length)];
}

/** The batch with this one record instead of its own. */
export function replaceBatch(batch: PendingBatch, record: PartitionRecord): PendingBatch {
  return { ...batch, sealed: sealRecords([record]), replacing: true, sent: false };
}

function asIs({ key, value, header, timestampMs }: DecodedRecord): PartitionRecord {
  return { key, prefix: null, value, header, timestampMs };
}

function sealRecords(records: readonly PartitionRecord[]): SealedBatch {
  const builder = new BatchBuilder();
  for (const { key, prefix, value, header, timestampMs } of records)
    builder.append(key, prefix, value, header, timestampMs);
  const sealed = builder.seal();
  if (sealed instanceof Promise) throw new Error('an uncompressed batch is sealed at once');
  return sealed;
}

const sequenceMax = 2_147_483_647;

/** Sequences wrap around to 0 behind the largest 31-bit number. */
export function sequenceAfter(sequence: number, count: number): number {
  return sequence > sequenceMax - count ? count - (sequenceMax - sequence) - 1 : sequence + count;
}

/** Bytes that a record adds to a batch, rather too many than too few. */
export function roughLength({ key, prefix, value, header }: PartitionRecord): number {
  return (key?.length ?? 0) + (prefix?.length ?? 0) + (value?.length ?? 0) + (header?.length ?? 0) + 32;
}
