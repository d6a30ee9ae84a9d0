/**
 * Selections of repeated questions and of streams: pollers ask the same thing every second, and what a question covers is
 * known by path, not by leaf (LS3 of `leaf-store.ts`).
 *
 * SC1. Bounded: the one that was asked for longest ago makes room.
 * SC2. What a stream holds is one selection for all who hold it or ask the same. When it has to make room it goes on without
 *      remembering anything: a thousand streams of a million paths remember no more than questions do.
 * SC3. A device that is read in parts is put in order once, not once per part.
 */
import { type Row } from '../core/leaf-columns.ts';
import { PathSelection } from '../core/path-selection.ts';
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type RowIndex } from '../core/row-index.ts';
import { type HeldSelection, type LeafSelection, type LeafView, type NamedPattern } from './store.ts';

/** Of a million paths, a selection may take 5 MB. */
const selectionsMax = 64;

/** What a selection needs of the store. */
export interface RowSource<D extends { readonly index: RowIndex }> {
  rowsOf(device: string): D | undefined;
  isLeaf(row: Row): boolean;
  pathOf(row: Row): PathId;
  liveOf(path: PathId): number;
  copy(of: D, row: Row): LeafView;
}

export class SelectionCache<D extends { readonly index: RowIndex }> {
  readonly #paths: PathTable;
  readonly #source: RowSource<D>;
  /** In the order in which they were last asked for. */
  readonly #selections = new Map<string, RowSelection<D>>();
  readonly #held = new Map<string, { readonly selection: RowSelection<D>; holders: number }>();

  constructor(paths: PathTable, source: RowSource<D>) {
    this.#paths = paths;
    this.#source = source;
  }

  get(patterns: readonly NamedPattern[]): LeafSelection {
    return this.#get(nameOf(patterns), patterns);
  }

  hold(patterns: readonly NamedPattern[]): HeldSelection {
    const name = nameOf(patterns);
    const selection = this.#get(name, patterns);
    const held = this.#held.get(name) ?? { selection, holders: 0 };
    held.holders += 1;
    this.#held.set(name, held);
    let isHeld = true;
    return {
      selection,
      release: () => {
        if (isHeld) held.holders -= 1;
        isHeld = false;
        if (held.holders === 0 && this.#held.get(name) === held) this.#held.delete(name);
      },
    };
  }

  #get(name: string, patterns: readonly NamedPattern[]): RowSelection<D> {
    const selection = this.#selections.get(name) ?? this.#held.get(name)?.selection ?? this.#create(patterns); // SC2
    this.#selections.delete(name);
    this.#selections.set(name, selection);
    if (this.#selections.size > selectionsMax) this.#makeRoom(name);
    return selection;
  }

  /** SC1. What streams hold goes last: it is asked about with every change. */
  #makeRoom(asked: string): void {
    const names = [...this.#selections.keys()];
    const oldest = names.find((name) => name !== asked && !this.#held.has(name)) ?? names[0] ?? asked;
    this.#selections.get(oldest)?.rest(); // SC2
    this.#selections.delete(oldest);
  }

  #create(patterns: readonly NamedPattern[]): RowSelection<D> {
    const compiled = patterns.map(({ pattern }) => pattern);
    return new RowSelection(this.#paths, new PathSelection(this.#paths, compiled), this.#source);
  }
}

function nameOf(patterns: readonly NamedPattern[]): string {
  return JSON.stringify(patterns.map(({ text }) => text));
}

/** Covered paths of a device in key order, tombstones among them, while its index has not changed. */
interface Ordered {
  readonly changes: number;
  readonly ids: readonly PathId[];
}

/** Devices that are read in parts at a time. */
const orderedMax = 8;

class RowSelection<D extends { readonly index: RowIndex }> implements LeafSelection {
  readonly #table: PathTable;
  readonly #paths: PathSelection;
  readonly #source: RowSource<D>;
  readonly #ordered = new Map<D, Ordered>();

  constructor(table: PathTable, paths: PathSelection, source: RowSource<D>) {
    this.#table = table;
    this.#paths = paths;
    this.#source = source;
  }

  covers(path: PathId): boolean {
    return this.#paths.covers(path);
  }

  /** Remembers nothing until the next question. */
  rest(): void {
    this.#paths.rest();
    this.#ordered.clear();
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
    if (leaves.length < limit) this.#ordered.delete(of); // the last part
    return leaves;
  }

  /** To look for each path that is covered costs less than to ask of each of the device's whether it is. */
  #isSmallFor(index: RowIndex): boolean {
    return this.#paths.ids().length <= index.size * 2;
  }

  /** SC3. */
  #coveredIn(of: D): readonly PathId[] {
    const { changes } = of.index;
    const known = this.#ordered.get(of);
    if (known?.changes === changes) return known.ids;
    const ids: PathId[] = [];
    of.index.forEach((row) => {
      const id = this.#source.pathOf(row);
      if (this.#paths.covers(id)) ids.push(id);
    });
    ids.sort((a, b) => (this.#table.key(a) < this.#table.key(b) ? -1 : 1));
    this.#ordered.delete(of);
    if (this.#ordered.size >= orderedMax) {
      for (const oldest of this.#ordered.keys()) {
        this.#ordered.delete(oldest);
        break;
      }
    }
    this.#ordered.set(of, { changes, ids });
    return ids;
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
