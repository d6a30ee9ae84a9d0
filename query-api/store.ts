/**
 * The leaves of all devices, in memory, as their readers see them: what the topic `state` says, per key the record of the
 * highest position. `leaf-store.ts` holds them.
 *
 * L1. Per key the highest position wins, whatever order records come in; a repeat of that position replaces.
 * L2. A deleted leaf keeps the position of its tombstone until two sweeps have passed, so that a late record of a
 *     displaced writer does not bring it back.
 * L3. Value bytes are copied: a small slice of a fetch buffer would keep all of it alive.
 */
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type PathPattern } from '../schemas/path-pattern.ts';
import { type PathElem } from '../schemas/path.ts';

/** A leaf as it was when it was asked for: a copy, good for as long as you like. */
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
  /** Our time of receipt where the device gave no time (`timestampNs` 0), else 0: nothing else needs it. */
  readonly receivedAtNs: bigint;
  readonly epoch: bigint;
  readonly seq: bigint;
  /** From a SAMPLE subscription: its values may be merged for a slow reader. */
  readonly sampled: boolean;
  /** Path of the atomic container that it came in and is still under the guarantee of; empty: none. */
  readonly atomicRoot: string;
}

export interface NamedPattern {
  /** Says all about the pattern, as `parsePath` reads it: what is kept for a pattern is kept by its text. */
  readonly text: string;
  readonly pattern: PathPattern;
}

/** The leaves that one of some patterns covers, each once. For one question: ask for it anew in the next turn, or hold it. */
export interface LeafSelection {
  /** Leaves of all devices. */
  readonly total: number;
  count(device: string): number;
  /** At most `limit` leaves of a device behind the key `after`, in key order. */
  leaves(device: string, after: string, limit: number): readonly LeafView[];
  /** Of an id that the path table gave out lately. Hot in streams. */
  covers(path: PathId): boolean;
}

/** A selection that a stream keeps. */
export interface HeldSelection {
  readonly selection: Pick<LeafSelection, 'covers'>;
  release(): void;
}

export interface StoreView {
  /** Leaves in all devices. */
  readonly size: number;
  readonly paths: PathTable;
  /** Of the devices with leaves. */
  readonly deviceCount: number;
  /** Whether the device has leaves. */
  has(device: string): boolean;
  /** Leaves of `device` that match, in key order. */
  find(device: string, pattern: PathPattern, patternText: string): readonly LeafView[];
  select(patterns: readonly NamedPattern[]): LeafSelection;
  /** One and the same for all that hold or ask for these patterns, until it is released. */
  hold(patterns: readonly NamedPattern[]): HeldSelection;
  /** Devices with leaves. */
  devices(): IterableIterator<string>;
}

export interface LeafRecord {
  readonly value: Buffer;
  readonly timestampNs: bigint;
  readonly sampled: boolean;
  /** Other than a beginning of the leaf's own path it is taken for none. */
  readonly atomicRoot: string;
}

export interface RecordPosition {
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly receivedAtNs: bigint;
}

/**
 * What became of a record.
 *
 * `repeated`: nothing changed for readers, because the position and all of its content is here already, or because a leaf
 * is deleted that is not here. The position of such a delete is kept all the same (L2).
 * `refreshed`: the value was here already, outside of any atomic group; its time is new.
 */
export type Applied = 'stored' | 'refreshed' | 'deleted' | 'superseded' | 'repeated';
