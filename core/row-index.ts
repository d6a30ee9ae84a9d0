/**
 * The rows of one device by path id: open addressing over the column that holds the ids, 4 bytes an entry.
 *
 * RI1. A table has at most `tableRowsMax` rows; beyond, it is split in two by one bit more of the hash (extendible hashing), so
 *      that growing stops nobody for long however many leaves a device has.
 *
 * Hot: guarded by `bench/store.ts`.
 */
import { type LeafColumns, type Row } from './leaf-columns.ts';
import { type PathId } from './path-table.ts';

const tableRowsMax = 32_768;

/** Row + 1, 0 is empty. */
interface Table {
  entries: Uint32Array;
  count: number;
  /** Bits of the hash that all its paths have in common. */
  bits: number;
}

/** murmur3's last step: every bit of the id moves every bit of the hash. */
function hashOf(path: PathId): number {
  let hash = path;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class RowIndex {
  readonly #columns: LeafColumns;
  /** By the upper bits of the hash; a table with fewer bits stands in several places. */
  #tables: Table[] = [{ entries: new Uint32Array(8), count: 0, bits: 0 }];
  #bits = 0;
  #size = 0;
  #changes = 0;

  constructor(columns: LeafColumns) {
    this.#columns = columns;
  }

  get size(): number {
    return this.#size;
  }

  /** Grows whenever a row comes or goes. */
  get changes(): number {
    return this.#changes;
  }

  /** -1: none. */
  find(path: PathId): Row {
    const hash = hashOf(path);
    const { entries } = this.#table(hash);
    for (let at = hash % entries.length; ; at = at + 1 === entries.length ? 0 : at + 1) {
      const row = (entries[at] ?? 0) - 1;
      if (row < 0 || this.#columns.path(row) === path) return row;
    }
  }

  /** `path` must not be here. */
  add(path: PathId, row: Row): void {
    const hash = hashOf(path);
    let table = this.#table(hash);
    if (table.count * 7 >= table.entries.length * 6) {
      this.#enlarge(table);
      table = this.#table(hash);
    }
    insert(table, hash, row);
    this.#size += 1;
    this.#changes += 1;
  }

  /** `path` must be here. */
  remove(path: PathId): void {
    const hash = hashOf(path);
    const table = this.#table(hash);
    const { entries } = table;
    const { length } = entries;
    let hole = hash % length;
    while (this.#columns.path((entries[hole] ?? 0) - 1) !== path) hole = (hole + 1) % length;
    // Entries behind that would not be found past the hole move into it.
    for (let at = (hole + 1) % length; entries[at] !== 0; at = (at + 1) % length) {
      const home = hashOf(this.#columns.path((entries[at] ?? 0) - 1)) % length;
      if ((at - home + length) % length < (at - hole + length) % length) continue;
      entries[hole] = entries[at] ?? 0;
      hole = at;
    }
    entries[hole] = 0;
    table.count -= 1;
    this.#size -= 1;
    this.#changes += 1;
    if (length > 8 && table.count * 4 < length) this.#refill(table, Math.max(8, length >>> 1));
  }

  clear(): void {
    this.#tables = [{ entries: new Uint32Array(8), count: 0, bits: 0 }];
    this.#bits = 0;
    this.#size = 0;
    this.#changes += 1;
  }

  /** Calls back for every row, in no order; the index must not change meanwhile. */
  forEach(visit: (row: Row) => void): void {
    let last: Table | undefined;
    for (const table of this.#tables) {
      if (table === last) continue; // the places of one table are neighbours
      last = table;
      for (const entry of table.entries) if (entry !== 0) visit(entry - 1);
    }
  }

  #table(hash: number): Table {
    return this.#tables[this.#bits === 0 ? 0 : hash >>> (32 - this.#bits)] as Table;
  }

  #enlarge(table: Table): void {
    if (table.count < tableRowsMax) this.#refill(table, Math.ceil(table.entries.length * 1.5));
    else this.#split(table); // RI1
  }

  #refill(table: Table, length: number): void {
    const { entries } = table;
    table.entries = new Uint32Array(length);
    table.count = 0;
    for (const entry of entries) if (entry !== 0) insert(table, hashOf(this.#columns.path(entry - 1)), entry - 1);
  }

  #split(table: Table): void {
    if (table.bits === this.#bits) {
      this.#tables = this.#tables.flatMap((each) => [each, each]);
      this.#bits += 1;
    }
    const bits = table.bits + 1;
    const halves = [0, 1].map((): Table => ({ entries: new Uint32Array(table.entries.length), count: 0, bits }));
    for (const entry of table.entries) {
      if (entry === 0) continue;
      const hash = hashOf(this.#columns.path(entry - 1));
      insert(halves[(hash >>> (32 - bits)) & 1] as Table, hash, entry - 1);
    }
    for (const half of halves) this.#refill(half, Math.max(8, Math.ceil(half.count * 1.25)));
    const places = 1 << (this.#bits - bits);
    const first = this.#tables.indexOf(table);
    for (let at = 0; at < places * 2; at += 1) this.#tables[first + at] = halves[at < places ? 0 : 1] as Table;
  }
}

function insert(table: Table, hash: number, row: Row): void {
  const { entries } = table;
  let at = hash % entries.length;
  while (entries[at] !== 0) at = at + 1 === entries.length ? 0 : at + 1;
  entries[at] = row + 1;
  table.count += 1;
}
