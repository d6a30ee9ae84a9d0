/**
 * Reading the protobuf wire format, bounds-checked against hostile bytes: the reader of the data path, which makes fewer
 * objects than protobufjs' and keeps repeated names. Everything else is read through `message-wire.ts`.
 *
 * R1. Nothing is read at or beyond `end`, and every call moves on or throws MessageMalformed: no input loops.
 * R2. 64-bit integers come out as bigint, exactly.
 * R3. Unknown fields are skipped, groups included (N17); a nested message cannot reach beyond its own length.
 */
import { cachedName } from './name-cache.ts';

/** Bytes that are not the protobuf message they should be. */
export class MessageMalformed extends Error {
  constructor(problem: string, options?: ErrorOptions) {
    super(`message is malformed: ${problem}`, options);
    this.name = 'MessageMalformed';
  }
}

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireGroup = 3;
export const wireGroupEnd = 4;
export const wireFixed32 = 5;

/** Deeper nesting than any gNMI message has; a bound for the stack. */
const depthMax = 64;

export class WireReader {
  readonly bytes: Buffer;
  pos: number;
  end: number;
  /** Field number and wire type of the tag `next` read. */
  field = 0;
  wire = 0;
  /** Strings that were not valid UTF-8; they came out with U+FFFD, so two bad names may have become one (L5). */
  invalidStrings = 0;
  private depth = 0;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
  }

  /** Reads the next tag into `field` and `wire`; false at the end of the message. */
  next(): boolean {
    if (this.pos >= this.end) return false;
    const tag = this.uint32();
    this.field = tag >>> 3;
    this.wire = tag & 7;
    if (this.field === 0) throw new MessageMalformed('field number 0');
    return true;
  }

  /** A varint's low 32 bits, unsigned; the rest of up to 10 bytes is dropped, as every decoder does. */
  uint32(): number {
    const { bytes, end } = this;
    let result = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= end) throw new MessageMalformed('it ends inside a number');
      const byte = bytes[this.pos++] ?? 0;
      if (shift < 32) result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
    throw new MessageMalformed('a number has more than 10 bytes');
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  uint64(): bigint {
    const { bytes, end } = this;
    // Three parts of 28, 28 and 8 bits: each is exact in 32-bit arithmetic.
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.pos >= end) throw new MessageMalformed('it ends inside a number');
      const byte = bytes[this.pos++] ?? 0;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index < 8) middle |= bits << (7 * (index - 4));
      else high |= bits << (7 * (index - 8));
      if (byte < 0x80) {
        if (index < 7) return BigInt(low + middle * 0x1000_0000); // below 2^49: exact as a number
        return (BigInt(high & 0xff) << 56n) | (BigInt(middle) << 28n) | BigInt(low);
      }
    }
    throw new MessageMalformed('a number has more than 10 bytes');
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** A view, not a copy. */
  buffer(): Buffer {
    const length = this.uint32();
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  string(): string {
    const length = this.uint32();
    const start = this.take(length);
    const name = cachedName(this.bytes, start, start + length);
    if (name !== undefined) return name;
    const text = this.bytes.toString('utf8', start, start + length);
    if (text.includes('\ufffd') && Buffer.from(text, 'utf8').compare(this.bytes, start, start + length) !== 0) {
      this.invalidStrings++;
    }
    return text;
  }

  /** Enters a length-delimited message: returns the outer end, to be handed back to `leave`. */
  enter(): number {
    const length = this.uint32();
    const outerEnd = this.end;
    if (length > outerEnd - this.pos) throw new MessageMalformed('a field is longer than what holds it');
    if (++this.depth > depthMax) throw new MessageMalformed(`nested deeper than ${depthMax}`);
    this.end = this.pos + length;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.pos = this.end;
    this.end = outerEnd;
    this.depth--;
  }

  /** Skips the value of the field just read by `next`. */
  skip(): void {
    switch (this.wire) {
      case wireVarint:
        this.uint32();
        return;
      case wireFixed64:
        this.take(8);
        return;
      case wireBytes:
        this.take(this.uint32());
        return;
      case wireFixed32:
        this.take(4);
        return;
      case wireGroup:
        this.skipGroup(this.field);
        return;
      default:
        throw new MessageMalformed(`wire type ${this.wire}`);
    }
  }

  private skipGroup(field: number): void {
    if (++this.depth > depthMax) throw new MessageMalformed(`nested deeper than ${depthMax}`);
    while (this.next()) {
      if (this.wire === wireGroupEnd) {
        if (this.field !== field) break;
        this.depth--;
        return;
      }
      this.skip();
    }
    throw new MessageMalformed('a group without its end');
  }

  private take(length: number): number {
    const start = this.pos;
    if (length > this.end - start) throw new MessageMalformed('a field is longer than what holds it');
    this.pos = start + length;
    return start;
  }
}
