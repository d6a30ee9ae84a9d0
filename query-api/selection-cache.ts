/**
 * Selections of repeated questions: pollers ask the same thing every second, and what a question covers is known by path,
 * not by leaf (LS3 of `leaf-store.ts`).
 *
 * SC1. Bounded: the one that was asked for longest ago makes room.
 */
import { type Row } from '../core/leaf-columns.ts';
import { PathSelection } from '../core/path-selection.ts';
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type RowIndex } from '../core/row-index.ts';
import { type LeafSelection, type LeafView, type NamedPattern } from './store.ts';

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
  readonly #selections = new Map<string, LeafSelection>();

  constructor(paths: PathTable, source: RowSource<D>) {
    this.#paths = paths;
    this.#source = source;
  }

  get(patterns: readonly NamedPattern[]): LeafSelection {
    const name = JSON.stringify(patterns.map(({ text }) => text));
    const known = this.#selections.get(name);
    if (known !== undefined) {
      this.#selections.delete(name);
      this.#selections.set(name, known);
      return known;
    }
    const selection = new RowSelection(
      this.#paths,
      new PathSelection(
        this.#paths,
        patterns.map(({ pattern }) => pattern),
      ),
      this.#source,
    );
    this.#selections.set(name, selection);
    if (this.#selections.size > selectionsMax) {
      for (const oldest of this.#selections.keys()) {
        this.#selections.delete(oldest); // SC1
        break;
      }
    }
    return selection;
  }
}

class RowSelection<D extends { readonly index: RowIndex }> implements LeafSelection {
  readonly #table: PathTable;
  readonly #paths: PathSelection;
  readonly #source: RowSource<D>;

  constructor(table: PathTable, paths: PathSelection, source: RowSource<D>) {
    this.#table = table;
    this.#paths = paths;
    this.#source = source;
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
    return leaves;
  }

  /** To look for each path that is covered costs less than to ask of each of the device's whether it is. */
  #isSmallFor(index: RowIndex): boolean {
    return this.#paths.ids().length <= index.size * 2;
  }

  #coveredIn(of: D): PathId[] {
    const ids: PathId[] = [];
    of.index.forEach((row) => {
      const id = this.#source.pathOf(row);
      if (this.#source.isLeaf(row) && this.#paths.covers(id)) ids.push(id);
    });
    return ids.sort((a, b) => (this.#table.key(a) < this.#table.key(b) ? -1 : 1));
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
