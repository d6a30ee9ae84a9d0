import { headerKey } from '../../schemas/position.ts';
import { codecNames, type Compressor, decompress } from './compression.ts';
import { crc32c } from './crc32c.ts';

/**
 * Kafka's record batch, format 2: both directions, bytes in and bytes out. Hot path; kept by the property test that
 * compares it with kafkajs' encoder.
 *
 * Batch header, 61 bytes, big-endian: baseOffset i64 · batchLength i32 · partitionLeaderEpoch i32 · magic i8 · crc u32 ·
 * attributes i16 · lastOffsetDelta i32 · baseTimestamp i64 · maxTimestamp i64 · producerId i64 · producerEpoch i16 ·
 * baseSequence i32 · recordCount i32. The CRC covers everything from the attributes on.
 *
 * B1. A record is written once, into the open batch's buffer: nothing is allocated per record.
 * B2. A record has exactly one header, `hf`, or none.
 * B3. Producer id, epoch and base sequence belong to a sending, not to a batch: they can be set again and again.
 * B4. A reader continues at `nextOffset`, never behind the last record: compaction leaves batches empty or thinned out.
 */
export const batchHeaderLength = 61;
const attributesAt = 21;
const magic = 2;
const codecMask = 0x07;
const logAppendTimeBit = 0x08;
const transactionalBit = 0x10;
const controlBit = 0x20;
const headerName = Buffer.from(headerKey);
const capacityMin = 4_096;

/** A batch ready to be sent, again and again if need be. */
export class SealedBatch {
  readonly #bytes: Buffer;
  readonly recordCount: number;

  constructor(bytes: Buffer, recordCount: number) {
    this.#bytes = bytes;
    this.recordCount = recordCount;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes as they go out in the name of this producer (B3). The buffer is the same at every call. */
  bytesOf(producerId: bigint, producerEpoch: number, baseSequence: number): Buffer {
    const bytes = this.#bytes;
    bytes.writeBigInt64BE(producerId, 43);
    bytes.writeInt16BE(producerEpoch, 51);
    bytes.writeInt32BE(baseSequence, 53);
    bytes.writeUInt32BE(crc32c(bytes.subarray(attributesAt)), 17);
    return bytes;
  }

  /** Of no producer: not idempotent. */
  anonymousBytes(): Buffer {
    return this.bytesOf(-1n, -1, -1);
  }
}

/** The open batch of one partition. After `seal` it is empty and takes the next one. */
export class BatchBuilder {
  #bytes: Buffer;
  #length = batchHeaderLength;
  #count = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  constructor(capacity = capacityMin) {
    this.#bytes = Buffer.allocUnsafe(Math.max(capacity, capacityMin));
  }

  get recordCount(): number {
    return this.#count;
  }

  /** Bytes of the batch so far, its header included. */
  get length(): number {
    return this.#length;
  }

  /** The value is `prefix` followed by `value`; a null `value` is a tombstone. Returns the record's bytes. */
  append(
    key: Buffer | null,
    prefix: Buffer | null,
    value: Buffer | null,
    header: Buffer | null,
    timestampMs: number,
  ): number {
    if (this.#count === 0) {
      this.#baseTimestampMs = timestampMs;
      this.#maxTimestampMs = timestampMs;
    } else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    const delta = timestampMs - this.#baseTimestampMs;
    const valueLength = value === null ? -1 : value.length + (prefix?.length ?? 0);
    const keyLength = key === null ? -1 : key.length;
    const length =
      1 +
      varlongSize(delta) +
      varintSize(this.#count) +
      varintSize(keyLength) +
      Math.max(keyLength, 0) +
      varintSize(valueLength) +
      Math.max(valueLength, 0) +
      1 +
      (header === null ? 0 : 1 + headerName.length + varintSize(header.length) + header.length);
    const size = varintSize(length) + length;
    this.#reserve(size);
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#length, length);
    bytes[at] = 0; // attributes
    at = writeVarlong(bytes, at + 1, delta);
    at = writeVarint(bytes, at, this.#count);
    at = writeVarint(bytes, at, keyLength);
    if (key !== null) at += key.copy(bytes, at);
    at = writeVarint(bytes, at, valueLength);
    if (value !== null) {
      if (prefix !== null) at += prefix.copy(bytes, at);
      at += value.copy(bytes, at);
    }
    at = writeVarint(bytes, at, header === null ? 0 : 1);
    if (header !== null) {
      at = writeVarint(bytes, at, headerName.length); // B2
      at += headerName.copy(bytes, at);
      at = writeVarint(bytes, at, header.length);
      at += header.copy(bytes, at);
    }
    this.#length = at;
    this.#count += 1;
    return size;
  }

  /** Closes the batch. A promise only where the compressor has no synchronous form. */
  seal(compressor: Compressor | null = null): SealedBatch | Promise<SealedBatch> {
    const { codec, compress, bytesMin } = compressor ?? { codec: 'none', compress: undefined, bytesMin: 0 };
    const count = this.#count;
    if (compress === undefined || this.#length < bytesMin) return new SealedBatch(this.#take(), count);
    const plain = this.#take();
    const finish = (packed: Buffer): SealedBatch => {
      if (packed.length >= plain.length - batchHeaderLength) return new SealedBatch(plain, count);
      const bytes = Buffer.allocUnsafe(batchHeaderLength + packed.length);
      plain.copy(bytes, 0, 0, batchHeaderLength);
      packed.copy(bytes, batchHeaderLength);
      bytes.writeInt32BE(bytes.length - 12, 8);
      bytes.writeInt16BE(codecNames.indexOf(codec), attributesAt);
      return new SealedBatch(bytes, count);
    };
    const packed = compress(plain.subarray(batchHeaderLength));
    return packed instanceof Promise ? packed.then(finish) : finish(packed);
  }

  /** Forgets the open batch. */
  clear(): void {
    this.#length = batchHeaderLength;
    this.#count = 0;
  }

  #take(): Buffer {
    const length = this.#length;
    const bytes = this.#bytes;
    bytes.writeBigInt64BE(0n, 0);
    bytes.writeInt32BE(length - 12, 8);
    bytes.writeInt32BE(0, 12); // partition leader epoch: the broker's
    bytes.writeInt8(magic, 16);
    bytes.writeInt16BE(0, attributesAt);
    bytes.writeInt32BE(this.#count - 1, 23);
    bytes.writeBigInt64BE(BigInt(this.#baseTimestampMs), 27);
    bytes.writeBigInt64BE(BigInt(this.#maxTimestampMs), 35);
    bytes.writeInt32BE(this.#count, 57);
    this.clear();
    // A batch that waits for Kafka must not hold a buffer much larger than itself.
    if (length < bytes.length / 2) return Buffer.from(bytes.subarray(0, length));
    this.#bytes = Buffer.allocUnsafe(bytes.length);
    return bytes.subarray(0, length);
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, needed));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** A batch as a broker stores it; `records` is a view, compressed as `codec` says. */
export interface EncodedBatch {
  readonly baseOffset: bigint;
  /** First offset after the batch, whatever records are left in it (B4). */
  readonly nextOffset: bigint;
  /** Index into `codecNames`. */
  readonly codec: number;
  readonly isControl: boolean;
  readonly isTransactional: boolean;
  /** The broker's clock at append, for every record; null: the records' own timestamps count. */
  readonly appendedAtMs: bigint | null;
  readonly baseTimestampMs: bigint;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
  readonly records: Buffer;
}

export interface DecodedRecord {
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Value of the first header `hf`; null: none. */
  readonly header: Buffer | null;
}

/** A batch whose bytes are not what its header says. */
export class BatchCorrupt extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BatchCorrupt';
  }
}

/**
 * The whole batches of a fetched section, in order; one that is cut off at the end is left out (the next fetch brings
 * it). Throws `BatchCorrupt`: a wrong CRC, or another format than 2.
 */
export function decodeBatches(section: Buffer): EncodedBatch[] {
  const batches: EncodedBatch[] = [];
  let at = 0;
  while (at + 17 <= section.length) {
    const end = at + 12 + section.readInt32BE(at + 8);
    if (end > section.length) break;
    batches.push(decodeBatch(section.subarray(at, end)));
    at = end;
  }
  return batches;
}

function decodeBatch(bytes: Buffer): EncodedBatch {
  const baseOffset = bytes.length < 8 ? -1n : bytes.readBigInt64BE(0);
  if (bytes.length < batchHeaderLength || bytes.readInt8(16) !== magic) {
    throw new BatchCorrupt(`batch at offset ${baseOffset} is not of format 2`);
  }
  const crc = crc32c(bytes.subarray(attributesAt));
  if (crc !== bytes.readUInt32BE(17)) throw new BatchCorrupt(`batch at offset ${baseOffset} has a wrong CRC`);
  const attributes = bytes.readInt16BE(attributesAt);
  return {
    baseOffset,
    nextOffset: baseOffset + BigInt(bytes.readInt32BE(23)) + 1n,
    codec: attributes & codecMask,
    isControl: (attributes & controlBit) !== 0,
    isTransactional: (attributes & transactionalBit) !== 0,
    appendedAtMs: (attributes & logAppendTimeBit) === 0 ? null : bytes.readBigInt64BE(35),
    baseTimestampMs: bytes.readBigInt64BE(27),
    producerId: bytes.readBigInt64BE(43),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
    recordCount: bytes.readInt32BE(57),
    records: bytes.subarray(batchHeaderLength),
  };
}

/**
 * The batch's records as views; none for a control batch. A promise only for zstd. Throws or rejects with
 * `BatchCorrupt`, or with the named error of a codec that is not installed.
 */
export function decodeRecords(batch: EncodedBatch): DecodedRecord[] | Promise<DecodedRecord[]> {
  if (batch.isControl || batch.recordCount === 0) return [];
  const plain = decompress(batch.codec, batch.records);
  return plain instanceof Promise ? plain.then((bytes) => walk(batch, bytes)) : walk(batch, plain);
}

function walk(batch: EncodedBatch, bytes: Buffer): DecodedRecord[] {
  const reader = new RecordReader(bytes, batch);
  const records: DecodedRecord[] = [];
  for (let index = 0; index < batch.recordCount; index += 1) records.push(reader.next());
  return records;
}

/** Hot: millions of records at a restart. Times are numbers, exact as ms; offsets are made from the batch's once each. */
class RecordReader {
  readonly #bytes: Buffer;
  readonly #batch: EncodedBatch;
  readonly #baseTimestampMs: number;
  readonly #appendedAtMs: number | null;
  #at = 0;

  constructor(bytes: Buffer, batch: EncodedBatch) {
    this.#bytes = bytes;
    this.#batch = batch;
    this.#baseTimestampMs = Number(batch.baseTimestampMs);
    this.#appendedAtMs = batch.appendedAtMs === null ? null : Number(batch.appendedAtMs);
  }

  next(): DecodedRecord {
    const { baseOffset } = this.#batch;
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) {
      throw new BatchCorrupt(`a record of the batch at offset ${baseOffset} ends beyond it`);
    }
    this.#at += 1; // attributes
    const timestampDelta = this.#varlong();
    const offsetDelta = this.#varint();
    const key = this.#bytesOf(this.#varint());
    const value = this.#bytesOf(this.#varint());
    const header = this.#header();
    this.#at = end;
    return {
      offset: baseOffset + BigInt(offsetDelta),
      timestampMs: this.#appendedAtMs ?? this.#baseTimestampMs + timestampDelta,
      key,
      value,
      header,
    };
  }

  #header(): Buffer | null {
    let found: Buffer | null = null;
    for (let left = this.#varint(); left > 0; left -= 1) {
      const length = this.#varint();
      const isOurs = found === null && this.#isHeaderName(length);
      if (length > 0) this.#at += length;
      const value = this.#bytesOf(this.#varint());
      if (isOurs) found = value;
    }
    return found;
  }

  #isHeaderName(length: number): boolean {
    if (length !== headerName.length) return false;
    for (let index = 0; index < length; index += 1) {
      if (this.#bytes[this.#at + index] !== headerName[index]) return false;
    }
    return true;
  }

  #bytesOf(length: number): Buffer | null {
    if (length < 0) return null;
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new BatchCorrupt('a field of a record ends beyond its batch');
    return this.#bytes.subarray(start, this.#at);
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new BatchCorrupt('a number of a record has no end');
  }

  #varlong(): number {
    const start = this.#at;
    const short = this.#peekShort();
    if (short !== null) return short;
    this.#at = start;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
    throw new BatchCorrupt('a number of a record has no end');
  }

  /** A number of up to four bytes: all but odd timestamps are. */
  #peekShort(): number | null {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    return null;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new BatchCorrupt('a record ends before its fields do');
    this.#at += 1;
    return byte;
  }
}

function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  while (zigzag >= 0x80) {
    bytes[at] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
    at += 1;
  }
  bytes[at] = zigzag;
  return at + 1;
}

/** Milliseconds apart may pass 31 bits when a clock was set; doubles are exact far beyond that. */
function zigzagLong(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function varlongSize(value: number): number {
  let size = 1;
  for (let zigzag = zigzagLong(value); zigzag >= 0x80; zigzag = Math.floor(zigzag / 0x80)) size += 1;
  return size;
}

function writeVarlong(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let zigzag = zigzagLong(value);
  while (zigzag >= 0x80) {
    bytes[at] = (zigzag % 0x80) | 0x80;
    zigzag = Math.floor(zigzag / 0x80);
    at += 1;
  }
  bytes[at] = zigzag;
  return at + 1;
}
