/**
 * The leaves of all devices in typed columns, some 45 bytes a numeric leaf with everything that finds it. The rules of
 * `store.ts` (L1 to L3), and:
 *
 * LS1. What comes out is exactly what came in: value bytes, 64-bit times and positions. Columns hold what they can hold
 *      exactly, and the pool of values the rest.
 * LS2. Everything a leaf uses (row, path id, value, epoch) is given back with it, so that paths may come and go for ever.
 * LS3. A question is compared with each distinct path once, whatever the number of devices.
 *
 * Record to row is a hot path: no object per record but of what was not there before, guarded by `bench/store.ts`. The
 * obvious implementation is `test/support/map-store.ts`, and tests run both on the same records.
 */
import { EpochTable } from '../core/epoch-table.ts';
import { grownU32 } from '../core/growing-column.ts';
import { chunkMask, highHalf, type LeafChunk, LeafColumns, lowHalf, type Row } from '../core/leaf-columns.ts';
import { type InlineKind, inlineKinds, InlineReader } from '../core/leaf-value.ts';
import { beginningLength, pathBeginning } from '../core/path-elements.ts';
import { type PathId, PathTable } from '../core/path-table.ts';
import { RowIndex } from '../core/row-index.ts';
import { ValuePool } from '../core/value-pool.ts';
import { type PathPattern } from '../schemas/path-pattern.ts';
import { type Slot } from '../schemas/slot.ts';
import { LeafCopy, type LeafParts } from './leaf-copy.ts';
import { SelectionCache } from './selection-cache.ts';
import { type FormerLeaf } from './state-feed.ts';
import {
  type Applied,
  type HeldSelection,
  type LeafRecord,
  type LeafSelection,
  type LeafView,
  type NamedPattern,
  type RecordPosition,
  type StoreView,
} from './store.ts';

/** Kinds of a row beside the inline ones. */
const pooledKind = 6;
const tombstoneKind = 7;

/** Bits of a row's flags. */
const sampledFlag = 1;
/** The device gave no time: the column has the time of receipt. */
const receiptFlag = 2;
/** The row is listed as a tombstone, in the sweep whose number modulo 4 is in the next two bits. */
const listedFlag = 4;
const listedShift = 3;
const listedBits = 0b11100;

/** Roots deeper than this are not kept; no schema has them. */
const atomicElementsMax = 254;

export class DeviceRows {
  readonly name: string;
  readonly slot: Slot;
  readonly index: RowIndex;
  /** Rows that are no tombstones. */
  live = 0;

  constructor(name: string, slot: Slot, columns: LeafColumns) {
    this.name = name;
    this.slot = slot;
    this.index = new RowIndex(columns);
  }
}

export class LeafStore implements StoreView {
  readonly paths = new PathTable();
  readonly #columns = new LeafColumns();
  readonly #epochs = new EpochTable();
  readonly #values = new ValuePool();
  readonly #devices = new Map<string, DeviceRows>();
  readonly #selections = new SelectionCache(this.paths, this);
  /** Leaves by path id. */
  #live = new Uint32Array(256);
  #size = 0;
  #deviceCount = 0;
  #sweep = 0;
  readonly #clears = new Map<Slot, number>();
  /** Tombstones of this sweep and of the one before, each row at most once per list: device and path. */
  #young: [DeviceRows[], PathId[]] = [[], []];
  #old: [DeviceRows[], PathId[]] = [[], []];
  /** See `former`. */
  #hasFormer = false;
  #formerDepth = 0;
  #formerPath: PathId = 0;
  #formerNs = 0n;
  readonly #inline = new InlineReader();
  readonly #seq64 = new BigUint64Array(1);
  readonly #seqHalves = new Uint32Array(this.#seq64.buffer);

  get size(): number {
    return this.#size;
  }

  get deviceCount(): number {
    return this.#deviceCount;
  }

  has(device: string): boolean {
    return (this.#devices.get(device)?.live ?? 0) > 0;
  }

  /** The store's own string of a device's name, if it knows the device. */
  nameOf(device: string): string {
    return this.#devices.get(device)?.name ?? device;
  }

  *devices(): IterableIterator<string> {
    for (const of of this.#devices.values()) if (of.live > 0) yield of.name;
  }

  find(device: string, pattern: PathPattern, patternText: string): readonly LeafView[] {
    return this.select([{ text: patternText, pattern }]).leaves(device, '', Infinity);
  }

  select(patterns: readonly NamedPattern[]): LeafSelection {
    return this.#selections.get(patterns);
  }

  hold(patterns: readonly NamedPattern[]): HeldSelection {
    return this.#selections.hold(patterns);
  }

  /** Applies one record; `record` null is a tombstone. Hot. Throws RecordMalformed if `key` is no path. */
  apply(slot: Slot, device: string, key: string, record: LeafRecord | null, at: RecordPosition): Applied {
    const path = this.paths.intern(key);
    const of = this.#devices.get(device) ?? this.#addDevice(slot, device);
    const found = of.index.find(path);
    const isNew = found < 0;
    const row = isNew ? this.#addRow(of, path, at.epoch) : found;
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    this.#seq64[0] = at.seq;
    const order = isNew ? 1 : this.#compare(chunk, index, at.epoch);
    if (order < 0) return 'superseded'; // L1
    const wasLive = chunk.kind[index] !== tombstoneKind;
    this.#noteFormer(chunk, index, path, { isTold: wasLive && (record === null || chunk.atomicDepth[index] !== 0) });
    if (record === null) {
      if (!wasLive && order === 0) return 'repeated';
      this.#setPosition(chunk, index, at.epoch);
      if (wasLive) this.#bury(of, path, chunk, index);
      this.#listTombstone(of, path, chunk, index); // L2
      return wasLive ? 'deleted' : 'repeated';
    }
    if (order === 0 && wasLive && this.#holds(chunk, index, path, record, at)) return 'repeated';
    if (order !== 0) this.#setPosition(chunk, index, at.epoch);
    const wasPlain = chunk.atomicDepth[index] === 0;
    const isSameValue = this.#setContent(chunk, index, path, record, at);
    if (!wasLive) this.#revive(of, path);
    return wasLive && isSameValue && wasPlain && chunk.atomicDepth[index] === 0 ? 'refreshed' : 'stored';
  }

  #noteFormer(chunk: LeafChunk, index: number, path: PathId, { isTold }: { readonly isTold: boolean }): void {
    this.#hasFormer = isTold;
    if (!isTold) return;
    this.#formerDepth = chunk.atomicDepth[index] ?? 0;
    this.#formerPath = path;
    this.#formerNs = ((chunk.flags[index] ?? 0) & receiptFlag) === 0 ? (chunk.timestampNs[index] ?? 0n) : 0n;
  }

  #addDevice(slot: Slot, device: string): DeviceRows {
    const of = new DeviceRows(device, slot, this.#columns);
    this.#devices.set(device, of);
    return of;
  }

  /** A tombstone that nobody has written yet. */
  #addRow(of: DeviceRows, path: PathId, epoch: bigint): Row {
    const row = this.#columns.take();
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    chunk.path[index] = path;
    chunk.kind[index] = tombstoneKind;
    chunk.flags[index] = 0;
    chunk.atomicDepth[index] = 0;
    chunk.epoch[index] = this.#epochs.take(epoch);
    of.index.add(path, row);
    this.paths.retain(path);
    return row;
  }

  /** Of the position in `#seq64` and `epoch`, with that of the row: negative if it is before. */
  #compare(chunk: LeafChunk, index: number, epoch: bigint): number {
    const held = this.#epochs.epoch(chunk.epoch[index] ?? 0);
    if (held !== epoch) return epoch < held ? -1 : 1;
    const high = (this.#seqHalves[highHalf] ?? 0) - (chunk.seqHalves[index * 2 + highHalf] ?? 0);
    return high !== 0 ? high : (this.#seqHalves[lowHalf] ?? 0) - (chunk.seqHalves[index * 2 + lowHalf] ?? 0);
  }

  #setPosition(chunk: LeafChunk, index: number, epoch: bigint): void {
    chunk.seq[index] = this.#seq64[0] ?? 0n;
    const held = chunk.epoch[index] ?? 0;
    if (this.#epochs.epoch(held) === epoch) return;
    chunk.epoch[index] = this.#epochs.take(epoch);
    this.#epochs.release(held);
  }

  #setContent(chunk: LeafChunk, index: number, path: PathId, record: LeafRecord, at: RecordPosition): boolean {
    const { timestampNs, value } = record;
    chunk.timestampNs[index] = timestampNs === 0n ? at.receivedAtNs : timestampNs;
    const flags = (record.sampled ? sampledFlag : 0) | (timestampNs === 0n ? receiptFlag : 0);
    chunk.flags[index] = ((chunk.flags[index] ?? 0) & listedBits) | flags;
    chunk.atomicDepth[index] = this.#atomicDepth(path, record.atomicRoot);
    const kind = this.#inline.read(value);
    if (kind !== inlineKinds.none) {
      const { low, high } = this.#inline;
      if (chunk.kind[index] === kind && chunk.value[index * 2] === low && chunk.value[index * 2 + 1] === high)
        return true;
      this.#dropPooled(chunk, index);
      chunk.kind[index] = kind;
      chunk.value[index * 2] = low;
      chunk.value[index * 2 + 1] = high;
      return false;
    }
    const bytes = value.toString('latin1'); // L3
    if (chunk.kind[index] === pooledKind && this.#values.bytes(chunk.value[index * 2] ?? 0) === bytes) return true;
    const id = this.#values.take(bytes);
    this.#dropPooled(chunk, index);
    chunk.kind[index] = pooledKind;
    chunk.value[index * 2] = id;
    return false;
  }

  #dropPooled(chunk: LeafChunk, index: number): void {
    if (chunk.kind[index] === pooledKind) this.#values.release(chunk.value[index * 2] ?? 0);
  }

  #atomicDepth(path: PathId, root: string): number {
    if (root === '') return 0;
    const elements = beginningLength(this.paths.path(path), root);
    return elements <= atomicElementsMax ? elements + 1 : 0;
  }

  /** Whether a live row has just this content. */
  #holds(chunk: LeafChunk, index: number, path: PathId, record: LeafRecord, at: RecordPosition): boolean {
    const { timestampNs, value } = record;
    const flags = (record.sampled ? sampledFlag : 0) | (timestampNs === 0n ? receiptFlag : 0);
    if (((chunk.flags[index] ?? 0) & (sampledFlag | receiptFlag)) !== flags) return false;
    if (chunk.timestampNs[index] !== BigInt.asIntN(64, timestampNs === 0n ? at.receivedAtNs : timestampNs))
      return false;
    if (chunk.atomicDepth[index] !== this.#atomicDepth(path, record.atomicRoot)) return false;
    const kind = this.#inline.read(value);
    const low = chunk.value[index * 2] ?? 0;
    if (kind === inlineKinds.none)
      return chunk.kind[index] === pooledKind && this.#values.bytes(low) === value.toString('latin1');
    return chunk.kind[index] === kind && low === this.#inline.low && chunk.value[index * 2 + 1] === this.#inline.high;
  }

  /** A row becomes a leaf. */
  #revive(of: DeviceRows, path: PathId): void {
    if (path >= this.#live.length) this.#live = grownU32(this.#live, path + 1);
    this.#live[path] = (this.#live[path] ?? 0) + 1;
    this.#size += 1;
    if (of.live === 0) this.#deviceCount += 1;
    of.live += 1;
  }

  /** A leaf becomes a tombstone. */
  #bury(of: DeviceRows, path: PathId, chunk: LeafChunk, index: number): void {
    this.#dropPooled(chunk, index);
    chunk.kind[index] = tombstoneKind;
    this.#live[path] = (this.#live[path] ?? 0) - 1;
    this.#size -= 1;
    of.live -= 1;
    if (of.live === 0) this.#deviceCount -= 1;
  }

  #listTombstone(of: DeviceRows, path: PathId, chunk: LeafChunk, index: number): void {
    const flags = chunk.flags[index] ?? 0;
    const listed = listedFlag | ((this.#sweep & 3) << listedShift);
    if ((flags & listedBits) === listed) return;
    chunk.flags[index] = (flags & ~listedBits) | listed;
    this.#young[0].push(of);
    this.#young[1].push(path);
  }

  #removeRow(of: DeviceRows, row: Row): void {
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    const path = chunk.path[index] ?? 0;
    if (chunk.kind[index] !== tombstoneKind) this.#bury(of, path, chunk, index);
    this.#epochs.release(chunk.epoch[index] ?? 0);
    this.paths.release(path);
    this.#columns.free(row); // LS2
  }

  /** How often the slot was cleared: who looks at it in several turns sees whether it is still the same. */
  clearsOf(slot: Slot): number {
    return this.#clears.get(slot) ?? 0;
  }

  /** Forgets a slot, to be read anew. */
  clearSlot(slot: Slot): void {
    this.#clears.set(slot, this.clearsOf(slot) + 1);
    for (const of of this.#devices.values()) {
      if (of.slot !== slot) continue;
      of.index.forEach((row) => this.#removeRow(of, row));
      of.index.clear();
      this.#devices.delete(of.name);
    }
    this.#selections.forgetOrders();
  }

  /** Forgets tombstones older than the sweep before this one, devices of which nothing is left, and unused path ids. */
  sweepTombstones(): void {
    this.#sweep += 1;
    const [devices, paths] = this.#old;
    this.#old = this.#young;
    this.#young = [[], []];
    const listed = listedFlag | (((this.#sweep - 2) & 3) << listedShift);
    for (const [index, of] of devices.entries()) this.#sweepRow(of, paths[index] ?? 0, listed); // L2
    this.paths.sweep();
    this.#selections.forgetOrders();
  }

  #sweepRow(of: DeviceRows, path: PathId, listed: number): void {
    const row = of.index.find(path);
    if (row < 0) return; // its slot was read anew
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    const flags = chunk.flags[index] ?? 0;
    if ((flags & listedBits) !== listed) return; // deleted once more since, and listed again
    if (chunk.kind[index] !== tombstoneKind) {
      chunk.flags[index] = flags & ~listedBits; // it is back
      return;
    }
    of.index.remove(path);
    this.#removeRow(of, row);
    if (of.index.size === 0 && this.#devices.get(of.name) === of) this.#devices.delete(of.name);
  }

  /** What the leaf of the record that was applied last was before it, if that was in an atomic group or is deleted. */
  former(): FormerLeaf | null {
    if (!this.#hasFormer) return null;
    const depth = this.#formerDepth;
    const atomicRoot = depth === 0 ? '' : pathBeginning(this.paths.path(this.#formerPath), depth - 1);
    return { atomicRoot, timestampNs: this.#formerNs };
  }

  /** What leaves and tombstones use (LS2). */
  usage(): { readonly rows: number; readonly values: number; readonly epochs: number } {
    return { rows: this.#columns.size, values: this.#values.size, epochs: this.#epochs.size };
  }

  rowsOf(device: string): DeviceRows | undefined {
    return this.#devices.get(device);
  }

  isLeaf(row: Row): boolean {
    return this.#columns.chunk(row).kind[row & chunkMask] !== tombstoneKind;
  }

  pathOf(row: Row): PathId {
    return this.#columns.path(row);
  }

  /** Leaves of all devices that have the path. */
  liveOf(path: PathId): number {
    return this.#live[path] ?? 0;
  }

  copy(of: DeviceRows, row: Row): LeafView {
    return new LeafCopy(of.name, this.paths, this.#columns.path(row), this.#parts(row));
  }

  #parts(row: Row): LeafParts {
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    const kind = chunk.kind[index] ?? 0;
    const valueLow = chunk.value[index * 2] ?? 0;
    const flags = chunk.flags[index] ?? 0;
    const isInline = kind < pooledKind;
    return {
      isDeleted: kind === tombstoneKind,
      epoch: this.#epochs.epoch(chunk.epoch[index] ?? 0),
      // Signed halves are small integers to the engine; unsigned ones would be objects of their own.
      seqLow: (chunk.seqHalves[index * 2 + lowHalf] ?? 0) | 0,
      seqHigh: (chunk.seqHalves[index * 2 + highHalf] ?? 0) | 0,
      timeLow: chunk.timestampHalves[index * 2 + lowHalf] ?? 0,
      timeHigh: chunk.timestampHalves[index * 2 + highHalf] ?? 0,
      isTimeOfReceipt: (flags & receiptFlag) !== 0,
      sampled: (flags & sampledFlag) !== 0,
      atomicDepth: chunk.atomicDepth[index] ?? 0,
      kind: isInline ? (kind as InlineKind) : inlineKinds.none,
      valueLow: valueLow | 0,
      valueHigh: (chunk.value[index * 2 + 1] ?? 0) | 0,
      pooled: kind === pooledKind ? this.#values.bytes(valueLow) : '',
    };
  }

  /** Devices of a slot, with those of which only tombstones are left: for a snapshot, as the next three are. */
  devicesOf(slot: Slot): string[] {
    return [...this.#devices.values()].filter((of) => of.slot === slot).map(({ name }) => name);
  }

  pathsOf(device: string): PathId[] {
    const paths: PathId[] = [];
    this.#devices.get(device)?.index.forEach((row) => paths.push(this.#columns.path(row)));
    return paths;
  }

  partsOf(device: string, path: PathId): LeafParts | null {
    const row = this.#devices.get(device)?.index.find(path) ?? -1;
    return row < 0 ? null : this.#parts(row);
  }

  /** Puts back what `partsOf` told; false: the leaf is here already. */
  restore(slot: Slot, device: string, path: PathId, parts: LeafParts): boolean {
    const of = this.#devices.get(device) ?? this.#addDevice(slot, device);
    if (of.index.find(path) >= 0) return false;
    const row = this.#addRow(of, path, parts.epoch);
    const chunk = this.#columns.chunk(row);
    const index = row & chunkMask;
    chunk.seqHalves[index * 2 + lowHalf] = parts.seqLow;
    chunk.seqHalves[index * 2 + highHalf] = parts.seqHigh;
    if (parts.isDeleted) {
      this.#listTombstone(of, path, chunk, index);
      return true;
    }
    chunk.timestampHalves[index * 2 + lowHalf] = parts.timeLow;
    chunk.timestampHalves[index * 2 + highHalf] = parts.timeHigh;
    chunk.flags[index] = (parts.sampled ? sampledFlag : 0) | (parts.isTimeOfReceipt ? receiptFlag : 0);
    chunk.atomicDepth[index] = parts.atomicDepth;
    const isPooled = parts.kind === inlineKinds.none;
    chunk.kind[index] = isPooled ? pooledKind : parts.kind;
    chunk.value[index * 2] = isPooled ? this.#values.take(parts.pooled) : parts.valueLow;
    chunk.value[index * 2 + 1] = parts.valueHigh;
    this.#revive(of, path);
    return true;
  }
}
