/**
 * Cursors: where a reader stands in every slot of its request, as one opaque word.
 *
 * `1.` + base64url of varints, per slot in ascending order:
 *   slot - previous slot (the first: slot), zigzag(epoch - 1700000000000), seq
 * and, where it is known which log the positions are of, `.` + the tag of that log: base64url of 4 bytes.
 *
 * K1. `decodeCursor` accepts exactly what `encodeCursor` prints: one set of positions has one text, and one more per tag.
 */
import { createHash } from 'node:crypto';
import { type Position } from './position.ts';

export interface Cursor {
  /** Ascending by slot. */
  readonly positions: readonly Position[];
  /** Of the log that they are positions of; null: it does not say. */
  readonly tag: string | null;
}

const version = '1.';
const tagBytes = 4;
/** Epochs are claim times in ms: near this moment (November 2023) the difference takes few bytes. */
const epochBase = 1_700_000_000_000n;
const u64Max = 0xffff_ffff_ffff_ffffn;
const slotMax = 0xffff;

export class CursorMalformed extends Error {
  constructor(reason: string) {
    super(`cursor is malformed: ${reason}`);
    this.name = 'CursorMalformed';
  }
}

/** Tells the logs of two clusters, or of a topic that was made anew, from each other. `topicId` is Kafka's. */
export function logTag(clusterId: string, topicId: Buffer): string {
  const hash = createHash('sha256').update(clusterId, 'utf8').update(topicId).digest();
  return hash.subarray(0, tagBytes).toString('base64url');
}

/** The cursor names a log, and it is not this one. */
export function isOfOtherLog(cursor: Cursor, tag: string | null): boolean {
  return cursor.tag !== null && tag !== null && cursor.tag !== tag;
}

/** Positions in any order, at most one per slot. */
export function encodeCursor(positions: readonly Position[], tag: string | null = null): string {
  const bytes: number[] = [];
  let previous = 0;
  const ordered = [...positions].sort((a, b) => a.slot - b.slot);
  for (const [index, { slot, epoch, seq }] of ordered.entries()) {
    if (index > 0 && slot === previous) throw new RangeError(`slot ${slot} is twice in one cursor`);
    pushVarint(bytes, BigInt(slot - previous));
    const apart = epoch - epochBase;
    pushVarint(bytes, apart >= 0n ? apart * 2n : -apart * 2n - 1n);
    pushVarint(bytes, seq);
    previous = slot;
  }
  return version + Buffer.from(bytes).toString('base64url') + (tag === null ? '' : `.${tag}`);
}

/** Throws CursorMalformed. */
export function decodeCursor(text: string): Cursor {
  if (!text.startsWith(version)) throw new CursorMalformed('it does not start with "1."');
  const [body = '', tag = null, ...rest] = text.slice(version.length).split('.', 3);
  if (rest.length > 0) throw new CursorMalformed('it has more than three parts');
  if (tag !== null && !isTag(tag)) throw new CursorMalformed('its third part is no tag of a log');
  if (body.length > 2_000_000) throw new CursorMalformed('it is longer than any cursor');
  const reader = new VarintReader(Buffer.from(body, 'base64url'));
  const positions: Position[] = [];
  let previous = 0n;
  while (!reader.ended) {
    const step = reader.next();
    if (positions.length > 0 && step === 0n) throw new CursorMalformed('a slot is there twice');
    const slot = previous + step;
    if (slot > slotMax) throw new CursorMalformed(`slot ${slot} is out of range`);
    const zigzag = reader.next();
    const epoch = epochBase + ((zigzag & 1n) === 0n ? zigzag / 2n : -(zigzag + 1n) / 2n);
    const seq = reader.next();
    if (epoch < 0n || epoch > u64Max || seq > u64Max) throw new CursorMalformed('a number is out of range');
    positions.push({ slot: Number(slot), epoch, seq });
    previous = slot;
  }
  if (encodeCursor(positions, tag) !== text) throw new CursorMalformed('it is not in canonical form'); // K1
  return { positions, tag };
}

function isTag(text: string): boolean {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === tagBytes && bytes.toString('base64url') === text;
}

function pushVarint(bytes: number[], value: bigint): void {
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
}

class VarintReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  next(): bigint {
    let value = 0n;
    // 10 bytes hold 70 bits: enough for a zigzagged 64-bit difference, and a bound for hostile input.
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new CursorMalformed('it ends inside a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CursorMalformed('a number is too long');
  }
}
