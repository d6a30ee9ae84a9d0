/**
 * Bytes of a request in Kafka's encoding: big-endian integers, length-prefixed strings, bytes and arrays. The flexible
 * versions' forms are those named `compact`.
 */
export class RequestBody {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 512) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  int8(value: number): this {
    this.#reserve(1);
    this.#length = this.#bytes.writeInt8(value, this.#length);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  int16(value: number): this {
    this.#reserve(2);
    this.#length = this.#bytes.writeInt16BE(value, this.#length);
    return this;
  }

  int32(value: number): this {
    this.#reserve(4);
    this.#length = this.#bytes.writeInt32BE(value, this.#length);
    return this;
  }

  int64(value: bigint): this {
    this.#reserve(8);
    this.#length = this.#bytes.writeBigInt64BE(value, this.#length);
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length).#reserve(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  bytes(value: Buffer | null): this {
    if (value === null) return this.int32(-1);
    return this.int32(value.length).raw(value);
  }

  /** Bytes without a length before them. */
  raw(value: Buffer): this {
    this.#reserve(value.length);
    this.#length += value.copy(this.#bytes, this.#length);
    return this;
  }

  array<T>(items: readonly T[], write: (body: this, item: T) => unknown): this {
    this.int32(items.length);
    for (const item of items) write(this, item);
    return this;
  }

  /** Lengths of the flexible encoding, seven bits a byte. */
  uvarint(value: number): this {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.#uint8((rest & 0x7f) | 0x80);
    return this.#uint8(rest);
  }

  compactString(value: string): this {
    return this.uvarint(Buffer.byteLength(value) + 1).raw(Buffer.from(value));
  }

  compactArray<T>(items: readonly T[], write: (body: this, item: T) => unknown): this {
    this.uvarint(items.length + 1);
    for (const item of items) write(this, item);
    return this;
  }

  #uint8(value: number): this {
    this.#reserve(1);
    this.#length = this.#bytes.writeUInt8(value, this.#length);
    return this;
  }

  /** What was written so far; the body must not be written to afterwards. */
  build(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
