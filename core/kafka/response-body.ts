/**
 * Reads a response in Kafka's encoding; the flexible versions' forms are those named `compact`. `bytes` gives views, not copies. A body that ends early throws a
 * `RangeError`: the broker is ours to trust, so that is a bug or a version mix-up, not input to handle.
 */
export class ResponseBody {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    const value = this.#bytes.readInt8(this.#at);
    this.#at += 1;
    return value;
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    const value = this.#bytes.readInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  int32(): number {
    const value = this.#bytes.readInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  int64(): bigint {
    const value = this.#bytes.readBigInt64BE(this.#at);
    this.#at += 8;
    return value;
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    return this.#take(length).toString('utf8');
  }

  bytes(): Buffer {
    return this.nullableBytes() ?? Buffer.alloc(0);
  }

  nullableBytes(): Buffer | null {
    const length = this.int32();
    if (length < 0) return null;
    return this.#take(length);
  }

  /** An array; a null array reads as empty. */
  array<T>(read: (body: this) => T): T[] {
    const count = this.int32();
    const items: T[] = [];
    for (let index = 0; index < count; index += 1) items.push(read(this));
    return items;
  }

  /** Lengths of the flexible encoding, seven bits a byte. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.int8() & 0xff;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a length of the response has more than five bytes');
  }

  compactString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.#take(length).toString('utf8');
  }

  /** An array; a null array reads as empty. */
  compactArray<T>(read: (body: this) => T): T[] {
    const count = this.uvarint() - 1;
    const items: T[] = [];
    for (let index = 0; index < count; index += 1) items.push(read(this));
    return items;
  }

  /** Fields that later versions added; none is of use to us. */
  tags(): void {
    const count = this.uvarint();
    for (let index = 0; index < count; index += 1) {
      this.uvarint();
      this.#take(this.uvarint());
    }
  }

  /** Bytes without a length before them. */
  raw(length: number): Buffer {
    return this.#take(length);
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError(`response ends at ${this.#bytes.length}, field needs ${end}`);
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }
}
