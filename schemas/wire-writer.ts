/**
 * Writing the protobuf wire format into one growing buffer. 64-bit integers are bigint and exact; a negative int64 takes
 * ten bytes, as everywhere. Callers leave proto3 defaults out themselves.
 */
import { wireBytes, wireVarint } from './wire-reader.ts';

export class WireWriter {
  private bytes: Buffer;
  private at = 0;

  constructor(capacity = 256) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** The bytes so far, in memory of their own. */
  finish(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.at));
  }

  tag(field: number, wire: number): this {
    return this.varint32(((field << 3) | wire) >>> 0);
  }

  /** An unsigned 32-bit number. */
  varint32(value: number): this {
    this.reserve(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
    return this;
  }

  /** int64 and uint64 alike: the 64 bits of the value. Throws RangeError for what 64 bits cannot hold. */
  varint64(value: bigint): this {
    if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) {
      throw new RangeError(`${value} does not fit 64 bits`);
    }
    const bits = BigInt.asUintN(64, value);
    let low = Number(bits & 0xffff_ffffn);
    let high = Number(bits >> 32n);
    this.reserve(10);
    while (high > 0 || low > 0x7f) {
      this.bytes[this.at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.bytes[this.at++] = low;
    return this;
  }

  uint32Field(field: number, value: number): void {
    this.tag(field, wireVarint).varint32(value);
  }

  uint64Field(field: number, value: bigint): void {
    this.tag(field, wireVarint).varint64(value);
  }

  stringField(field: number, value: string): void {
    const length = Buffer.byteLength(value, 'utf8');
    this.tag(field, wireBytes).varint32(length).reserve(length);
    this.at += this.bytes.write(value, this.at, length, 'utf8');
  }

  bytesField(field: number, value: Uint8Array): void {
    this.tag(field, wireBytes).varint32(value.length).reserve(value.length);
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** Opens a length-delimited field; what is written until `close` is its content. */
  open(field: number): number {
    this.tag(field, wireBytes).reserve(1);
    return ++this.at;
  }

  /** Ends the field opened at `start`. The length takes the byte kept for it; a longer one moves the content on. */
  close(start: number): void {
    const length = this.at - start;
    if (length < 0x80) {
      this.bytes[start - 1] = length;
      return;
    }
    const extra = length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
    this.reserve(extra);
    this.bytes.copyWithin(start + extra, start, this.at);
    this.at = start - 1;
    this.varint32(length);
    this.at += length;
  }

  private reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.at + length));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }
}
