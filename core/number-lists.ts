/**
 * Many short lists of u32, each written once, behind one number each: a million arrays would cost more than what is in them.
 *
 * NL1. A list's place is used again, for lists of the same length, once it was freed.
 */
const blockLength = 16_384;

export class NumberLists {
  readonly #blocks: Uint32Array[] = [];
  /** Place in the last block. */
  #end = blockLength;
  /** By length. */
  readonly #free = new Map<number, number[]>();

  /** Returns the list's place, for `at` and `free`. */
  add(list: readonly number[]): number {
    const place = this.#free.get(list.length)?.pop() ?? this.#append(list.length); // NL1
    this.#blocks[Math.floor(place / blockLength)]?.set(list, place % blockLength);
    return place;
  }

  at(place: number, index: number): number {
    return this.#blocks[Math.floor(place / blockLength)]?.[(place % blockLength) + index] ?? 0;
  }

  free(place: number, length: number): void {
    const free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, [place]);
    else free.push(place);
  }

  /** No list lies across blocks; one longer than a block has its own, and nothing behind its beginning is a place. */
  #append(length: number): number {
    if (this.#end + length > blockLength) {
      this.#blocks.push(new Uint32Array(Math.max(blockLength, length)));
      this.#end = 0;
    }
    const place = (this.#blocks.length - 1) * blockLength + this.#end;
    this.#end += length;
    return place;
  }
}
