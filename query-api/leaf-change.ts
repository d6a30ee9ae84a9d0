/**
 * One change of a leaf as streams keep it: what the record said, free of the fetch that brought it. Pure.
 *
 * LC1. It may wait in many queues for as long as their readers like, so it is one object of small integers and of strings
 *      that the store has anyway; only the value's bytes are its own. `bench/queue-entry.ts` says what it takes.
 */
import { highHalf, lowHalf } from '../core/leaf-columns.ts';
import { beginningLength, pathBeginning } from '../core/path-elements.ts';
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type LeafContent } from '../schemas/leaf.ts';
import { parseOrigin, parsePath, type PathElem } from '../schemas/path.ts';
import { type RecordHeader } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type FormerLeaf, type LeafChange } from './state-feed.ts';
import { type LeafView } from './store.ts';

export interface ChangeSource {
  readonly header: RecordHeader;
  readonly device: string;
  /** `origin:/path` */
  readonly key: string;
  /** null: deleted. */
  readonly leaf: LeafContent | null;
}

/** Where names are kept. */
export interface NameSource {
  readonly paths: PathTable;
  /** The store's own string of a device's name, if it knows the device. */
  nameOf(device: string): string;
}

/** What the store had of the leaf, where it was asked. */
export interface WasBefore {
  readonly isSameValue?: boolean;
  readonly formerly?: FormerLeaf | null;
}

/** Throws RecordMalformed if the key is none. */
export function leafChange(names: NameSource, slot: Slot, source: ChangeSource, was: WasBefore = {}): LeafChange {
  return new Change(names, slot, source, was);
}

/** Bits of the flags; above them the number of elements of the atomic root, plus one (0: none). */
const sampledFlag = 1;
const sameValueFlag = 2;
/** The device gave no time: the time is that of receipt. */
const receiptFlag = 4;
const atomicShift = 3;

/** For one call: a 64-bit integer and its halves. Signed halves are small integers to the engine. */
const whole = new BigInt64Array(1);
const halves = new Int32Array(whole.buffer);

class Change implements LeafChange, LeafView {
  readonly slot: Slot;
  readonly device: string;
  readonly key: string;
  readonly pathId: PathId;
  readonly formerly: FormerLeaf | null;
  readonly #flags: number;
  readonly #epochLow: number;
  readonly #epochHigh: number;
  readonly #seqLow: number;
  readonly #seqHigh: number;
  readonly #timeLow: number;
  readonly #timeHigh: number;
  /** One-byte characters: a slice of the fetch would keep all of it alive. null: deleted. */
  readonly #bytes: string | null;

  constructor(
    names: NameSource,
    slot: Slot,
    source: ChangeSource,
    { isSameValue = false, formerly = null }: WasBefore,
  ) {
    const { header, device, key, leaf } = source;
    const { paths } = names;
    const isTimeOfReceipt = leaf?.timestampNs === 0n;
    this.slot = slot;
    this.formerly = formerly;
    this.pathId = paths.intern(key);
    this.device = names.nameOf(device); // LC1
    this.key = paths.key(this.pathId); // LC1
    this.#flags =
      (leaf?.sampled === true ? sampledFlag : 0) |
      (isSameValue ? sameValueFlag : 0) |
      (isTimeOfReceipt ? receiptFlag : 0) |
      (atomicDepth(paths, this.pathId, leaf?.atomicRoot ?? '') << atomicShift);
    whole[0] = header.epoch;
    this.#epochLow = halves[lowHalf] ?? 0;
    this.#epochHigh = halves[highHalf] ?? 0;
    whole[0] = header.seq;
    this.#seqLow = halves[lowHalf] ?? 0;
    this.#seqHigh = halves[highHalf] ?? 0;
    whole[0] = leaf === null || isTimeOfReceipt ? header.receivedAtNs : leaf.timestampNs;
    this.#timeLow = halves[lowHalf] ?? 0;
    this.#timeHigh = halves[highHalf] ?? 0;
    this.#bytes = leaf === null ? null : leaf.value.toString('latin1');
  }

  get leaf(): LeafView | null {
    return this.#bytes === null ? null : this;
  }

  get isSameValue(): boolean {
    return (this.#flags & sameValueFlag) !== 0;
  }

  get sampled(): boolean {
    return (this.#flags & sampledFlag) !== 0;
  }

  get epoch(): bigint {
    return BigInt.asUintN(64, joined(this.#epochLow, this.#epochHigh));
  }

  get seq(): bigint {
    return BigInt.asUintN(64, joined(this.#seqLow, this.#seqHigh));
  }

  get timestampNs(): bigint {
    return this.#isTimeOfReceipt ? 0n : joined(this.#timeLow, this.#timeHigh);
  }

  get receivedAtNs(): bigint {
    return this.#isTimeOfReceipt ? joined(this.#timeLow, this.#timeHigh) : 0n;
  }

  get #isTimeOfReceipt(): boolean {
    return (this.#flags & receiptFlag) !== 0;
  }

  get origin(): string {
    return parseOrigin(this.key)?.origin ?? '';
  }

  get path(): string {
    return this.key.slice(parseOrigin(this.key)?.end ?? 0);
  }

  /** Not by the id: the change may be kept for longer than the table keeps the path. */
  get elems(): readonly PathElem[] {
    return parsePath(this.key).elems;
  }

  get atomicRoot(): string {
    const depth = this.#flags >> atomicShift;
    return depth === 0 ? '' : pathBeginning(this.path, depth - 1);
  }

  get value(): Buffer {
    return Buffer.from(this.#bytes ?? '', 'latin1');
  }
}

/** As the store does: a root that is no beginning of the path is none. */
function atomicDepth(paths: PathTable, pathId: PathId, root: string): number {
  return root === '' ? 0 : beginningLength(paths.path(pathId), root) + 1;
}

function joined(low: number, high: number): bigint {
  halves[lowHalf] = low;
  halves[highHalf] = high;
  return whole[0] ?? 0n;
}
