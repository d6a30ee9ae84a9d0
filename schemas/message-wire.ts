/**
 * How messages are read and written with protobufjs' Reader and Writer: where these need care, the care is here. The data
 * path of ingest and replicator has a reader of its own (`wire-reader.ts`).
 *
 * P1. 64-bit integers are exact. The Reader makes a Long only where the package `long` is found, and rounds where not (L1,
 *     `exact-integers.ts`); the Writer takes a bigint for 0.
 * P2. Nothing is read beyond the message or the nested message: the Reader alone knows no nested ends, cuts a string short
 *     where the bytes end, and does not notice a 64-bit integer that they cut in two.
 * P3. What is written is UTF-8: the Writer would write half a surrogate pair. What is read and is not UTF-8 comes out with
 *     U+FFFD (L5).
 */
import protobuf from 'protobufjs/minimal.js';
import { MessageMalformed } from './wire-reader.ts';

export type Reader = protobuf.Reader;
export type Writer = protobuf.Writer;

export function newReader(bytes: Buffer): Reader {
  return protobuf.Reader.create(bytes);
}

export function newWriter(): Writer {
  return protobuf.Writer.create();
}

/** What was written; its type says Uint8Array, but it is a Buffer, as long as the writer came from `newWriter`. */
export function finish(writer: Writer): Buffer {
  return writer.finish() as Buffer;
}

/** What the Reader threw about its bytes, as MessageMalformed; anything else comes back as it is. */
export function malformed(thrown: unknown): unknown {
  const aboutBytes = thrown instanceof RangeError || (thrown instanceof Error && thrown.constructor === Error);
  return aboutBytes ? new MessageMalformed(thrown.message, { cause: thrown }) : thrown;
}

/** The next field's number and wire type as on the wire, `number << 3 | wire type`; undefined at the end. */
export function readTag(reader: Reader): number | undefined {
  if (reader.pos >= reader.len) return undefined;
  const tag = reader.uint32();
  if (tag >>> 3 === 0) throw new MessageMalformed('field number 0');
  return tag;
}

function readVarint(reader: Reader): protobuf.Long {
  const long = reader.uint64();
  if (reader.pos > reader.len || (reader.buf[reader.pos - 1] ?? 0) >= 0x80) {
    throw new MessageMalformed('it ends inside a number');
  }
  return long;
}

export function readUint64(reader: Reader): bigint {
  const { low, high } = readVarint(reader);
  const upper = high >>> 0;
  if (upper < 0x20_0000) return BigInt(upper * 0x1_0000_0000 + (low >>> 0)); // exact as a number
  return (BigInt(upper) << 32n) | BigInt(low >>> 0);
}

export function readInt64(reader: Reader): bigint {
  return BigInt.asIntN(64, readUint64(reader));
}

/** The low 32 bits, unsigned. `Reader.uint32` would take a number of 6 to 9 bytes for one of 10. */
export function readUint32(reader: Reader): number {
  return readVarint(reader).low >>> 0;
}

export function readBool(reader: Reader): boolean {
  const { low, high } = readVarint(reader);
  return low !== 0 || high !== 0;
}

/** A view into the reader's bytes. */
export function readBytes(reader: Reader): Buffer {
  return reader.bytes() as Buffer;
}

export function readText(reader: Reader): string {
  const length = reader.uint32();
  const start = reader.pos;
  reader.skip(length); // refuses what is too long
  return (reader.buf as Buffer).toString('utf8', start, reader.pos);
}

/** Enters a nested message: until `leave`, the reader ends where that ends. Returns the outer end. */
export function enter(reader: Reader): number {
  const length = reader.uint32();
  const outerEnd = reader.len;
  if (length > outerEnd - reader.pos) throw new MessageMalformed('a field is longer than what holds it');
  reader.len = reader.pos + length;
  return outerEnd;
}

export function leave(reader: Reader, outerEnd: number): void {
  reader.pos = reader.len;
  reader.len = outerEnd;
}

export function writeTag(writer: Writer, field: number, wire: number): Writer {
  return writer.uint32(((field << 3) | wire) >>> 0);
}

/** int64 and uint64 alike. Throws RangeError for what 64 bits cannot hold. */
export function writeInt64(writer: Writer, value: bigint): void {
  if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) {
    throw new RangeError(`${value} does not fit 64 bits`);
  }
  const bits = BigInt.asUintN(64, value);
  writer.uint64({ low: Number(bits & 0xffff_ffffn), high: Number(bits >> 32n), unsigned: true });
}

export function writeText(writer: Writer, value: string): void {
  writer.bytes(Buffer.from(value, 'utf8'));
}
