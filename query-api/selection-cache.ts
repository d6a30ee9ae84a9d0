/**
 * Selections of repeated questions and of streams: pollers ask the same thing every second, and what a question covers is
 * known by path, not by leaf (LS3 of `leaf-store.ts`).
 *
 * SC1. Bounded: of questions the one that was asked longest ago makes room. Streams that came first keep their places, and
 *      leave some to questions: one without a place would compare all paths anew with every part of its answer.
 * SC2. What a stream holds is one selection for all who hold it or ask the same. Without a place it goes on without
 *      remembering anything, until a place is given back: a thousand streams of a million paths remember no more than
 *      questions do.
 * SC3. A device that is read in parts is put in order once, not once per part.
 * SC4. Orders are let go with the last part, or with who held the selection, a sweep, or a slot; and what is never read to
 *      its end is bounded in paths for all selections together.
 */
import { type Row } from '../core/leaf-columns.ts';
import { PathSelection } from '../core/path-selection.ts';
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type RowIndex } from '../core/row-index.ts';
import { type HeldSelection, type LeafSelection, type LeafView, type NamedPattern } from './store.ts';

/** Of a million paths, a selection may take 5 MB. */
const selectionsMax = 64;
/** Of these. */
const heldMax = 56;

/** Paths in the orders that are kept, 4 bytes each; one order alone may have more. */
const orderedPathsMax = 4_000_000;
/** They are looked through. */
const ordersMax = 64;

/** What a selection needs of the store. */
export interface RowSource<D extends { readonly index: RowIndex }> {
  rowsOf(device: string): D | undefined;
  isLeaf(row: Row): boolean;
  pathOf(row: Row): PathId;
  liveOf(path: PathId): number;
  copy(of: D, row: Row): LeafView;
}

interface Held<D extends { readonly index: RowIndex }> {
  readonly selection: RowSelection<D>;
  holders: number;
  hasPlace: boolean;
}

export class SelectionCache<D extends { readonly index: RowIndex }> {
  readonly #paths: PathTable;
  readonly #source: RowSource<D>;
  readonly #orders: Orders<D>;
  /** Those that have no place with streams, in the order in which they were last asked for. */
  readonly #asked = new Map<string, RowSelection<D>>();
  /** In the order in which they came. */
  readonly #held = new Map<string, Held<D>>();
  #heldPlaces = 0;

  constructor(paths: PathTable, source: RowSource<D>, pathsMax = orderedPathsMax) {
    this.#paths = paths;
    this.#source = source;
    this.#orders = new Orders(pathsMax);
  }

  get(patterns: readonly NamedPattern[]): LeafSelection {
    return this.#get(nameOf(patterns), patterns);
  }

  hold(patterns: readonly NamedPattern[]): HeldSelection {
    const name = nameOf(patterns);
    const held = this.#held.get(name) ?? this.#addHeld(name, patterns);
    held.holders += 1;
    let isHeld = true;
    return {
      selection: held.selection,
      release: () => {
        if (isHeld) held.holders -= 1;
        if (isHeld && held.holders === 0) this.#removeHeld(name, held);
        isHeld = false;
      },
    };
  }

  /** SC4: devices may be gone. */
  forgetOrders(): void {
    this.#orders.clear();
  }

  #get(name: string, patterns: readonly NamedPattern[]): RowSelection<D> {
    const held = this.#held.get(name); // SC2
    if (held?.hasPlace === true) return held.selection;
    const selection = this.#asked.get(name) ?? held?.selection ?? this.#create(patterns);
    this.#ask(name, selection);
    return selection;
  }

  #ask(name: string, selection: RowSelection<D>): void {
    selection.remember();
    this.#asked.delete(name);
    this.#asked.set(name, selection);
    this.#makeRoom();
  }

  #addHeld(name: string, patterns: readonly NamedPattern[]): Held<D> {
    const held = { selection: this.#get(name, patterns), holders: 0, hasPlace: false };
    this.#held.set(name, held);
    if (this.#heldPlaces < heldMax) this.#givePlace(name, held);
    return held;
  }

  #givePlace(name: string, held: Held<D>): void {
    held.hasPlace = true;
    this.#heldPlaces += 1;
    held.selection.remember();
    this.#asked.delete(name);
    this.#makeRoom();
  }

  /** From now on it is a question that was just asked, and who waits longest has its place. */
  #removeHeld(name: string, held: Held<D>): void {
    this.#held.delete(name);
    this.#orders.forget(held.selection); // SC4
    if (!held.hasPlace) return;
    this.#heldPlaces -= 1;
    this.#ask(name, held.selection);
    for (const [waiting, next] of this.#held) {
      if (next.hasPlace) continue;
      this.#givePlace(waiting, next); // SC2
      break;
    }
  }

  /** SC1. */
  #makeRoom(): void {
    for (const [oldest, selection] of this.#asked) {
      if (this.#asked.size + this.#heldPlaces <= selectionsMax) break;
      selection.rest(); // SC2
      this.#asked.delete(oldest);
    }
  }

  #create(patterns: readonly NamedPattern[]): RowSelection<D> {
    const compiled = patterns.map(({ pattern }) => pattern);
    return new RowSelection(this.#paths, new PathSelection(this.#paths, compiled), this.#source, this.#orders);
  }
}

function nameOf(patterns: readonly NamedPattern[]): string {
  return JSON.stringify(patterns.map(({ text }) => text));
}

/** Covered paths of a device in key order, tombstones among them, while its index has not changed. */
interface Order<D> {
  readonly by: object;
  readonly of: D;
  readonly changes: number;
  readonly ids: Uint32Array;
}

/** SC4. Of the devices that are read in parts, by any selection. */
class Orders<D extends { readonly index: RowIndex }> {
  readonly #pathsMax: number;
  /** The one that was used longest ago is the first. */
  #orders: Order<D>[] = [];

  constructor(pathsMax: number) {
    this.#pathsMax = pathsMax;
  }

  find(by: object, of: D): Uint32Array | undefined {
    const at = this.#orders.findIndex((order) => order.of === of && order.by === by);
    const [found] = at < 0 ? [] : this.#orders.splice(at, 1);
    if (found?.changes !== of.index.changes) return undefined;
    this.#orders.push(found);
    return found.ids;
  }

  /** What `find` has not found. */
  add(by: object, of: D, ids: Uint32Array): void {
    this.#orders.push({ by, of, changes: of.index.changes, ids });
    let paths = this.#orders.reduce((sum, order) => sum + order.ids.length, 0);
    while (this.#orders.length > 1 && (paths > this.#pathsMax || this.#orders.length > ordersMax))
      paths -= this.#orders.shift()?.ids.length ?? 0;
  }

  /** Of one device, or of all. */
  forget(by: object, of?: D): void {
    if (this.#orders.length === 0) return;
    this.#orders = this.#orders.filter((order) => order.by !== by || (of !== undefined && order.of !== of));
  }

  clear(): void {
    this.#orders = [];
  }
}

class RowSelection<D extends { readonly index: RowIndex }> implements LeafSelection {
  readonly #table: PathTable;
  readonly #paths: PathSelection;
  readonly #source: RowSource<D>;
  readonly #orders: Orders<D>;

  constructor(table: PathTable, paths: PathSelection, source: RowSource<D>, orders: Orders<D>) {
    this.#table = table;
    this.#paths = paths;
    this.#source = source;
    this.#orders = orders;
  }

  covers(path: PathId): boolean {
    return this.#paths.covers(path);
  }

  remember(): void {
    this.#paths.remember();
  }

  /** Remembers nothing until it has a place again. */
  rest(): void {
    this.#paths.rest();
    this.#orders.forget(this);
  }

  get total(): number {
    let total = 0;
    for (const id of this.#paths.ids()) total += this.#source.liveOf(id);
    return total;
  }

  count(device: string): number {
    const of = this.#source.rowsOf(device);
    if (of === undefined) return 0;
    let count = 0;
    if (this.#isSmallFor(of.index)) {
      for (const id of this.#paths.ids()) {
        const row = of.index.find(id);
        if (row >= 0 && this.#source.isLeaf(row)) count += 1;
      }
    } else {
      of.index.forEach((row) => {
        if (this.#source.isLeaf(row) && this.#paths.covers(this.#source.pathOf(row))) count += 1;
      });
    }
    return count;
  }

  leaves(device: string, after: string, limit: number): readonly LeafView[] {
    const of = this.#source.rowsOf(device);
    if (of === undefined) return [];
    const ids = this.#isSmallFor(of.index) ? this.#paths.ids() : this.#coveredIn(of);
    const leaves: LeafView[] = [];
    for (let next = this.#firstBehind(ids, after); next < ids.length && leaves.length < limit; next += 1) {
      const row = of.index.find(ids[next] ?? 0);
      if (row >= 0 && this.#source.isLeaf(row)) leaves.push(this.#source.copy(of, row));
    }
    if (leaves.length < limit) this.#orders.forget(this, of); // SC4: the last part
    return leaves;
  }

  /** To look for each path that is covered costs less than to ask of each of the device's whether it is. */
  #isSmallFor(index: RowIndex): boolean {
    return this.#paths.ids().length <= index.size * 2;
  }

  /** SC3. */
  #coveredIn(of: D): Uint32Array {
    const known = this.#orders.find(this, of);
    if (known !== undefined) return known;
    const ids: PathId[] = [];
    of.index.forEach((row) => {
      const id = this.#source.pathOf(row);
      if (this.#paths.covers(id)) ids.push(id);
    });
    ids.sort((a, b) => (this.#table.key(a) < this.#table.key(b) ? -1 : 1));
    const ordered = Uint32Array.from(ids);
    this.#orders.add(this, of, ordered);
    return ordered;
  }

  #firstBehind(ids: ArrayLike<PathId>, after: string): number {
    if (after === '') return 0;
    let from = 0;
    let to = ids.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#table.key(ids[middle] ?? 0) <= after) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
