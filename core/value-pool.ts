/**
 * Byte strings behind small integers, counted: values that are not numbers. Short ones are kept once, so that a million
 * times "UP" is one.
 *
 * VP1. An id means the same bytes from `take` to the `release` that ends its last use.
 * VP2. Bytes are kept as one-byte strings: a small slice of a fetch buffer would keep all of it alive.
 */
import { grownU32 } from './growing-column.ts';

export type ValueId = number;

/** Bytes up to which equal values are looked for. Longer ones (JSON, certificates) differ mostly, and cost a hash. */
const sharedLengthMax = 64;

export class ValuePool {
  readonly #shared = new Map<string, ValueId>();
  readonly #texts: string[] = [];
  readonly #free: ValueId[] = [];
  #uses = new Uint32Array(256);

  /** Values that are kept. */
  get size(): number {
    return this.#texts.length - this.#free.length;
  }

  /** `bytes` as latin1. One use more of these bytes. */
  take(bytes: string): ValueId {
    const isShort = bytes.length <= sharedLengthMax;
    const known = isShort ? this.#shared.get(bytes) : undefined;
    if (known !== undefined) {
      this.#uses[known] = (this.#uses[known] ?? 0) + 1;
      return known;
    }
    const id = this.#free.pop() ?? this.#texts.length;
    if (id >= this.#uses.length) this.#uses = grownU32(this.#uses, id + 1);
    this.#texts[id] = bytes;
    this.#uses[id] = 1;
    if (isShort) this.#shared.set(bytes, id);
    return id;
  }

  bytes(id: ValueId): string {
    return this.#texts[id] ?? '';
  }

  release(id: ValueId): void {
    const uses = (this.#uses[id] ?? 0) - 1;
    this.#uses[id] = uses;
    if (uses > 0) return;
    const bytes = this.bytes(id);
    if (bytes.length <= sharedLengthMax) this.#shared.delete(bytes);
    this.#texts[id] = '';
    this.#free.push(id);
  }
}
