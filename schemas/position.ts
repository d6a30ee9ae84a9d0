/**
 * Positions and the record header `hf` that carries them on `telemetry`, `state` and `status`.
 *
 * Header, 30 bytes, big-endian:
 *   0 version u8 = 1 | 1 kind u8 | 2 slot u16 | 4 more u1, rpc u15 | 6 epoch u64 | 14 seq u64 | 22 receivedAt u64 (unix ns)
 *
 * H1. Epoch and seq are exact 64-bit integers: never a JS number on the way through.
 * H2. Positions of one slot are ordered by (epoch, seq); positions of different slots have no order.
 * H3. On `state` all records of a position come in one batch. Where they are too many, each batch of them but the last has
 *     the bit `more`: a reader that has read a batch to its end knows whether its highest position is whole.
 */
import { type Slot } from './slot.ts';

export const headerKey = 'hf';
export const headerLength = 30;
const headerVersion = 1;
const moreBit = 0x8000;
const rpcMax = moreBit - 1;

/** The index of a kind is its number on the wire. */
export const recordKinds = ['data', 'opened', 'synced', 'closed', 'gap', 'owner'] as const;
export type RecordKind = (typeof recordKinds)[number];

export interface Position {
  readonly slot: Slot;
  readonly epoch: bigint;
  readonly seq: bigint;
}

export interface RecordHeader extends Position {
  readonly kind: RecordKind;
  /** Which Subscribe RPC of the session the record came from; 0 if the session has one. 15 bits. */
  readonly rpc: number;
  /** On `state`: more records of this position follow in a later batch (H3). Absent: no. */
  readonly more?: boolean;
  /** Our clock when the message had arrived, unix nanoseconds. */
  readonly receivedAtNs: bigint;
}

/** A header, key or value that is not what the contracts say: a foreign or damaged record. */
export class RecordMalformed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RecordMalformed';
  }
}

export function encodeHeader(header: RecordHeader): Buffer {
  const bytes = Buffer.allocUnsafe(headerLength);
  encodeHeaderInto(bytes, 0, header);
  return bytes;
}

/** Writes the 30 bytes at `at`; throws RangeError if they do not fit or a field is out of its width. */
export function encodeHeaderInto(target: Buffer, at: number, header: RecordHeader): void {
  target.writeUInt8(headerVersion, at);
  target.writeUInt8(recordKinds.indexOf(header.kind), at + 1);
  target.writeUInt16BE(header.slot, at + 2);
  if (header.rpc > rpcMax) throw new RangeError(`rpc ${header.rpc} is more than ${rpcMax}`);
  target.writeUInt16BE(header.more === true ? header.rpc | moreBit : header.rpc, at + 4);
  target.writeBigUInt64BE(header.epoch, at + 6);
  target.writeBigUInt64BE(header.seq, at + 14);
  target.writeBigUInt64BE(header.receivedAtNs, at + 22);
}

/** Throws RecordMalformed. Bytes after the 30 known ones are left to later versions of the header. */
export function decodeHeader(bytes: Buffer): RecordHeader {
  if (bytes.length < headerLength) throw new RecordMalformed(`header has ${bytes.length} bytes, not ${headerLength}`);
  const version = bytes.readUInt8(0);
  if (version !== headerVersion) throw new RecordMalformed(`header version ${version} is not known`);
  const kindNumber = bytes.readUInt8(1);
  const kind = recordKinds[kindNumber];
  if (kind === undefined) throw new RecordMalformed(`record kind ${kindNumber} is not known`);
  const moreAndRpc = bytes.readUInt16BE(4);
  const header = {
    kind,
    slot: bytes.readUInt16BE(2),
    rpc: moreAndRpc & rpcMax,
    epoch: bytes.readBigUInt64BE(6),
    seq: bytes.readBigUInt64BE(14),
    receivedAtNs: bytes.readBigUInt64BE(22),
  };
  return moreAndRpc < moreBit ? header : { ...header, more: true };
}

/** Negative, zero or positive as `a` is before, at or after `b`; both must be of one slot (H2). */
export function comparePositions(a: Position, b: Position): number {
  if (a.slot !== b.slot) throw new RangeError(`positions of slots ${a.slot} and ${b.slot} have no order`);
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  if (a.seq !== b.seq) return a.seq < b.seq ? -1 : 1;
  return 0;
}

/**
 * Whether a record of a compacted topic may take the place of another of its key: after compaction a displaced owner's late
 * record may stand behind the rightful one, so the higher position wins. Positions that are not known (null), or of two
 * slots, have no order: then the later record does.
 */
export function mayReplace(candidate: Position | null, present: Position | null): boolean {
  if (candidate === null || present === null || candidate.slot !== present.slot) return true;
  return comparePositions(candidate, present) >= 0;
}

/** `slot:epoch:seq` */
export function formatPosition(position: Position): string {
  return `${position.slot}:${position.epoch}:${position.seq}`;
}

const positionPattern = /^(0|[1-9]\d{0,4}):(0|[1-9]\d{0,19}):(0|[1-9]\d{0,19})$/;
const u64Max = 0xffff_ffff_ffff_ffffn;

/** The inverse of `formatPosition`; throws RecordMalformed. */
export function parsePosition(text: string): Position {
  const match = positionPattern.exec(text);
  const position = match && { slot: Number(match[1]), epoch: BigInt(match[2] ?? ''), seq: BigInt(match[3] ?? '') };
  if (!position || position.slot > 0xffff || position.epoch > u64Max || position.seq > u64Max) {
    throw new RecordMalformed(`position ${JSON.stringify(text)} is not slot:epoch:seq`);
  }
  return position;
}
