/**
 * Rows of leaves as typed columns, 35 bytes a row. Columns come in chunks, so that growing copies nothing.
 *
 * LC1. 64-bit integers are exact: columns of 64 bits, never a number.
 *
 * What a row means is its owner's (`query-api/leaf-store.ts`): here is only where it is. Hot: guarded by `bench/store.ts`.
 */
export type Row = number;

const chunkShift = 12;
export const chunkRows = 1 << chunkShift;
export const chunkMask = chunkRows - 1;
const rowBytes = 35;
const none = 0xffff_ffff;

/** Where the high half of 64 bits lies in a pair of u32: machines differ. */
export const highHalf = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;
export const lowHalf = 1 - highHalf;

export class LeafChunk {
  readonly seq: BigUint64Array;
  /** The same, as pairs of halves. */
  readonly seqHalves: Uint32Array;
  readonly timestampNs: BigInt64Array;
  readonly timestampHalves: Int32Array;
  /** Pairs: low, high. */
  readonly value: Uint32Array;
  readonly epoch: Uint32Array;
  readonly path: Uint32Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  readonly atomicDepth: Uint8Array;

  constructor() {
    const bytes = new ArrayBuffer(chunkRows * rowBytes);
    this.seq = new BigUint64Array(bytes, 0, chunkRows);
    this.seqHalves = new Uint32Array(bytes, 0, chunkRows * 2);
    this.timestampNs = new BigInt64Array(bytes, chunkRows * 8, chunkRows);
    this.timestampHalves = new Int32Array(bytes, chunkRows * 8, chunkRows * 2);
    this.value = new Uint32Array(bytes, chunkRows * 16, chunkRows * 2);
    this.epoch = new Uint32Array(bytes, chunkRows * 24, chunkRows);
    this.path = new Uint32Array(bytes, chunkRows * 28, chunkRows);
    this.kind = new Uint8Array(bytes, chunkRows * 32, chunkRows);
    this.flags = new Uint8Array(bytes, chunkRows * 33, chunkRows);
    this.atomicDepth = new Uint8Array(bytes, chunkRows * 34, chunkRows);
  }
}

export class LeafColumns {
  readonly #chunks: LeafChunk[] = [];
  #end: Row = 0;
  /** Free rows are a list: each has the next in its column `path`. */
  #free: Row = none;
  #size = 0;

  /** Rows that are taken. */
  get size(): number {
    return this.#size;
  }

  /** A row whose columns hold anything. */
  take(): Row {
    this.#size += 1;
    const row = this.#free;
    if (row !== none) {
      this.#free = this.path(row);
      return row;
    }
    if (this.#end === this.#chunks.length * chunkRows) this.#chunks.push(new LeafChunk());
    return this.#end++;
  }

  free(row: Row): void {
    this.chunk(row).path[row & chunkMask] = this.#free;
    this.#free = row;
    this.#size -= 1;
  }

  /** A row's columns; its place in them is `row & chunkMask`. */
  chunk(row: Row): LeafChunk {
    return this.#chunks[row >>> chunkShift] as LeafChunk;
  }

  path(row: Row): number {
    return this.chunk(row).path[row & chunkMask] ?? 0;
  }
}
