/** What a snapshot of a slot says before its leaves: of which log it is, and how far it is in it. */
import { z } from 'zod';
import { messageOf } from '../core/errors.ts';
import { RecordMalformed } from '../schemas/position.ts';

/** A log: topics of one name in other clusters, or made anew, are others. */
export interface LogIdentity {
  readonly clusterId: string;
  readonly topicId: string;
  /** Of the topic: its partitions. */
  readonly slots: number;
}

/** Where a slot's copy stands, between two batches, with no position half read. */
export interface SlotPlaceSaved {
  /** First offset not applied. The leaves may be newer. */
  readonly nextOffset: bigint;
  /** The latest record timestamp before it, unix ms. */
  readonly logTimeMs: number;
  readonly epoch: bigint;
  readonly seq: bigint;
  /** The last `|slot` marker. */
  readonly marker: { readonly lagMs: number; readonly writtenAtMs: number } | null;
  /** `PositionIndex.encode`. */
  readonly index: Buffer;
}

export interface SlotHead {
  readonly log: LogIdentity;
  readonly slot: number;
  /** Our wall clock when the place was noted. */
  readonly writtenAtMs: number;
  readonly place: SlotPlaceSaved;
}

const unsigned = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const milliseconds = z.number();
const headShape = z.object({
  log: z.object({ clusterId: z.string(), topicId: z.string(), slots: z.int().min(1) }),
  slot: z.int().min(0),
  writtenAtMs: milliseconds,
  place: z.object({
    nextOffset: unsigned,
    logTimeMs: milliseconds,
    epoch: unsigned,
    seq: unsigned,
    marker: z.object({ lagMs: milliseconds, writtenAtMs: milliseconds }).nullable(),
    index: z.base64().transform((text) => Buffer.from(text, 'base64')),
  }),
});

export function encodeHead(head: SlotHead): Buffer {
  const { index, ...place } = head.place;
  const plain = { ...head, place: { ...place, index: index.toString('base64') } };
  return Buffer.from(JSON.stringify(plain, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)));
}

/** Throws RecordMalformed. */
export function decodeHead(bytes: Buffer): SlotHead {
  try {
    return headShape.parse(JSON.parse(bytes.toString('utf8')));
  } catch (thrown) {
    throw new RecordMalformed(`the head of a snapshot: ${messageOf(thrown)}`, { cause: thrown });
  }
}
