/** Reads what `ByteWriter` wrote. Nothing beyond the end is read: RecordMalformed. */
import { RecordMalformed } from '../schemas/position.ts';

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  text(): string {
    const length = this.u32();
    const start = this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  latin1(): string {
    const length = this.u32();
    const start = this.#take(length);
    return this.#bytes.toString('latin1', start, start + length);
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new RecordMalformed('an entry is longer than what holds it');
    this.#at = start + length;
    return start;
  }
}
