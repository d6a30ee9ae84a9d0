/**
 * A leaf taken out of the store. Making one costs no bigint, Buffer or parsing: those are made when they are asked for.
 */
import { encodeInline, type InlineKind } from '../core/leaf-value.ts';
import { type PathId, type PathTable } from '../core/path-table.ts';
import { pathBeginning } from '../core/path-elements.ts';
import { type PathElem } from '../schemas/path.ts';
import { type LeafView } from './store.ts';

/** What the store's columns hold of a leaf. */
export interface LeafParts {
  /** A tombstone: only its position counts. */
  readonly isDeleted: boolean;
  readonly epoch: bigint;
  readonly seqLow: number;
  readonly seqHigh: number;
  /** Halves of `timestampNs`, or of the time of receipt if `isTimeOfReceipt`. */
  readonly timeLow: number;
  readonly timeHigh: number;
  readonly isTimeOfReceipt: boolean;
  readonly sampled: boolean;
  /** Elements of the atomic root + 1; 0: none. */
  readonly atomicDepth: number;
  /** Not inline: `pooled` has the bytes, as latin1. */
  readonly kind: InlineKind;
  readonly valueLow: number;
  readonly valueHigh: number;
  readonly pooled: string;
}

export class LeafCopy implements LeafView {
  readonly device: string;
  readonly key: string;
  readonly origin: string;
  readonly #pathStart: number;
  readonly #paths: PathTable;
  readonly #pathId: PathId;
  readonly #parts: LeafParts;

  constructor(device: string, paths: PathTable, pathId: PathId, parts: LeafParts) {
    this.device = device;
    this.key = paths.key(pathId);
    this.origin = paths.origin(pathId);
    this.#pathStart = paths.pathStart(pathId);
    this.#paths = paths;
    this.#pathId = pathId;
    this.#parts = parts;
  }

  get path(): string {
    return this.key.slice(this.#pathStart);
  }

  get elems(): readonly PathElem[] {
    return this.#paths.elemsOf(this.#pathId, this.key);
  }

  get value(): Buffer {
    const { kind, valueLow, valueHigh, pooled } = this.#parts;
    return kind === 0 ? Buffer.from(pooled, 'latin1') : encodeInline(kind, valueLow, valueHigh);
  }

  get timestampNs(): bigint {
    return this.#parts.isTimeOfReceipt ? 0n : this.#timeNs;
  }

  get receivedAtNs(): bigint {
    return this.#parts.isTimeOfReceipt ? this.#timeNs : 0n;
  }

  get #timeNs(): bigint {
    return BigInt.asIntN(64, joined(this.#parts.timeLow, this.#parts.timeHigh));
  }

  get epoch(): bigint {
    return this.#parts.epoch;
  }

  get seq(): bigint {
    return joined(this.#parts.seqLow, this.#parts.seqHigh);
  }

  get sampled(): boolean {
    return this.#parts.sampled;
  }

  get atomicRoot(): string {
    const { atomicDepth } = this.#parts;
    return atomicDepth === 0 ? '' : pathBeginning(this.path, atomicDepth - 1);
  }
}

function joined(low: number, high: number): bigint {
  const upper = high >>> 0;
  if (upper < 0x20_0000) return BigInt(upper * 0x1_0000_0000 + (low >>> 0)); // exact as a number
  return (BigInt(upper) << 32n) | BigInt(low >>> 0);
}
