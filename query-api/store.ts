/**
 * The leaves of all devices, in memory: what the topic `state` says, per key the record of the highest position.
 *
 * L1. Per key the highest position wins, whatever order records come in; a repeat of that position replaces.
 * L2. A deleted leaf keeps the position of its tombstone until two sweeps have passed, so that a late record of a
 *     displaced writer does not bring it back.
 * L3. Value bytes are kept as one-byte strings: a small slice of a fetch buffer would keep all of it alive.
 *
 * Readers see `StoreView` and `LeafView` only, so that a store of typed columns can take this one's place. Views are
 * valid until the next turn of the event loop.
 */
import { PathTable } from '../core/path-table.ts';
import { parseLeafKey } from '../schemas/topics.ts';
import { type PathPattern } from '../schemas/path-pattern.ts';
import { parsePath, type PathElem } from '../schemas/path.ts';
import { type Slot } from '../schemas/slot.ts';

export interface LeafView {
  readonly device: string;
  readonly origin: string;
  /** Canonical text, `/a/b[k=v]`. */
  readonly path: string;
  /** Sort key within the device: `origin:/a/b[k=v]`. */
  readonly key: string;
  readonly elems: readonly PathElem[];
  /** The encoded TypedValue. */
  readonly value: Buffer;
  readonly timestampNs: bigint;
  readonly receivedAtNs: bigint;
  readonly epoch: bigint;
  readonly seq: bigint;
  /** From a SAMPLE subscription: its values may be merged for a slow reader. */
  readonly sampled: boolean;
  /** Path of the atomic container that it came in and is still under the guarantee of; empty: none. */
  readonly atomicRoot: string;
}

export interface StoreView {
  /** Leaves in all devices. */
  readonly size: number;
  readonly paths: PathTable;
  /** Leaves of `device` that match, in key order. The array belongs to the store. */
  find(device: string, pattern: PathPattern, patternText: string): readonly LeafView[];
  devices(): IterableIterator<string>;
}

export interface LeafRecord {
  readonly value: Buffer;
  readonly timestampNs: bigint;
  readonly sampled: boolean;
  readonly atomicRoot: string;
}

export interface RecordPosition {
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly receivedAtNs: bigint;
}

class StoredLeaf implements LeafView {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly key: string;
  bytes: string;
  timestampNs: bigint;
  receivedAtNs: bigint;
  epoch: bigint;
  seq: bigint;
  sampled: boolean;
  atomicRoot: string;
  #elems: readonly PathElem[] | undefined;

  constructor(device: string, key: string, record: LeafRecord, at: RecordPosition) {
    const parsed = parseLeafKey(`${device}|${key}`);
    this.device = device;
    this.key = key;
    this.origin = parsed.origin;
    this.path = parsed.path;
    this.bytes = record.value.toString('latin1');
    this.timestampNs = record.timestampNs;
    this.receivedAtNs = at.receivedAtNs;
    this.epoch = at.epoch;
    this.seq = at.seq;
    this.sampled = record.sampled;
    this.atomicRoot = record.atomicRoot;
  }

  get value(): Buffer {
    return Buffer.from(this.bytes, 'latin1');
  }

  get elems(): readonly PathElem[] {
    return (this.#elems ??= parsePath(this.path).elems);
  }
}

/** Answers of repeated questions, kept while the set of paths stays as it is: pollers ask the same thing every second. */
const cachedPatternsMax = 16;
const cachedMatchesMax = 1_000;

class DeviceLeaves {
  readonly slot: Slot;
  readonly leaves = new Map<string, StoredLeaf>();
  readonly tombstones = new Map<string, { epoch: bigint; seq: bigint; sweep: number }>();
  #sorted: readonly StoredLeaf[] | null = null;
  #found = new Map<string, readonly StoredLeaf[]>();

  constructor(slot: Slot) {
    this.slot = slot;
  }

  pathsChanged(): void {
    this.#sorted = null;
    if (this.#found.size > 0) this.#found.clear();
  }

  find(pattern: PathPattern, patternText: string): readonly StoredLeaf[] {
    const cached = this.#found.get(patternText);
    if (cached !== undefined) return cached;
    this.#sorted ??= [...this.leaves.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const found = this.#sorted.filter((leaf) => leaf.origin === pattern.origin && pattern.matches(leaf.elems));
    if (found.length <= cachedMatchesMax) {
      if (this.#found.size >= cachedPatternsMax) this.#found.clear();
      this.#found.set(patternText, found);
    }
    return found;
  }
}

/** `repeated`: it is of the position that the key has already, so it is no news. */
export type Applied = 'stored' | 'deleted' | 'superseded' | 'repeated';

export class MapStore implements StoreView {
  readonly paths = new PathTable();
  readonly #devices = new Map<string, DeviceLeaves>();
  #size = 0;
  #sweep = 0;

  get size(): number {
    return this.#size;
  }

  devices(): IterableIterator<string> {
    return this.#devices.keys();
  }

  find(device: string, pattern: PathPattern, patternText: string): readonly LeafView[] {
    return this.#devices.get(device)?.find(pattern, patternText) ?? [];
  }

  /** Applies one record; `record` null is a tombstone. Hot: once per record of `state`. */
  apply(slot: Slot, device: string, key: string, record: LeafRecord | null, at: RecordPosition): Applied {
    let of = this.#devices.get(device);
    if (of === undefined) {
      of = new DeviceLeaves(slot);
      this.#devices.set(device, of);
    }
    const stored = of.leaves.get(key);
    const held = stored ?? of.tombstones.get(key);
    if (held !== undefined && (at.epoch < held.epoch || (at.epoch === held.epoch && at.seq < held.seq)))
      return 'superseded'; // L1
    const isRepeat = held !== undefined && at.epoch === held.epoch && at.seq === held.seq;
    if (record === null) {
      of.tombstones.set(key, { epoch: at.epoch, seq: at.seq, sweep: this.#sweep }); // L2
      if (stored !== undefined) this.#remove(of, key);
      return isRepeat ? 'repeated' : 'deleted';
    }
    if (stored === undefined) {
      of.leaves.set(key, new StoredLeaf(device, key, record, at));
      of.tombstones.delete(key);
      of.pathsChanged();
      this.#size += 1;
    } else {
      stored.bytes = record.value.toString('latin1'); // L3
      stored.timestampNs = record.timestampNs;
      stored.receivedAtNs = at.receivedAtNs;
      stored.epoch = at.epoch;
      stored.seq = at.seq;
      stored.sampled = record.sampled;
      stored.atomicRoot = record.atomicRoot;
    }
    return isRepeat ? 'repeated' : 'stored';
  }

  #remove(of: DeviceLeaves, key: string): void {
    of.leaves.delete(key);
    of.pathsChanged();
    this.#size -= 1;
  }

  /** Forgets a slot, to be read anew. */
  clearSlot(slot: Slot): void {
    for (const [device, of] of this.#devices) {
      if (of.slot !== slot) continue;
      this.#size -= of.leaves.size;
      this.#devices.delete(device);
    }
  }

  /** Forgets tombstones older than the sweep before this one, and devices of which nothing is left. */
  sweepTombstones(): void {
    this.#sweep += 1;
    for (const [device, of] of this.#devices) {
      for (const [key, tombstone] of of.tombstones) {
        if (tombstone.sweep < this.#sweep - 1) of.tombstones.delete(key); // L2
      }
      if (of.leaves.size === 0 && of.tombstones.size === 0) this.#devices.delete(device);
    }
  }
}
