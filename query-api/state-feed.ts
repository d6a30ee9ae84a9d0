/**
 * What streams need of the replica beside its store: every change as it is applied, and the changes behind a cursor.
 *
 * F1. A listener hears of a batch in the same turn in which the store takes it, after the store took it.
 * F2. A record that changed nothing in the store (superseded, held already, a delete of what is not there) is no change.
 * F3. At the end of every call the slot is whole up to `through`: no listener sees half of a position.
 */
import { type PathId } from '../core/path-table.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafView } from './store.ts';

/** What a leaf was before a change. */
export interface FormerLeaf {
  /** Empty: in no atomic group. */
  readonly atomicRoot: string;
  readonly timestampNs: bigint;
}

/** One leaf that was set or deleted. Shared by all listeners, to be kept as long as they like. */
export interface LeafChange {
  readonly slot: Slot;
  readonly device: string;
  /** `origin:/a/b[k=v]` */
  readonly key: string;
  /** Of the store's path table: good for two minutes, then it may name another path. What is kept by path is kept by `key`. */
  readonly pathId: PathId;
  /** What the record said, whatever the store holds later; null: deleted. */
  readonly leaf: LeafView | null;
  /** Only the time of the leaf is new (`refreshed` in store.ts). Of a replayed change it is not known: false. */
  readonly isSameValue: boolean;
  /** What the leaf was before, if it was in an atomic group or is deleted. Of a replayed change it is not known: null. */
  readonly formerly: FormerLeaf | null;
  /** The device's time of the value; of a delete, our time of receipt. */
  readonly timestampNs: bigint;
  readonly epoch: bigint;
  readonly seq: bigint;
}

export interface StateListener {
  /** One batch of a slot, in log order (F1, F3). `changes` may be empty: then only the position moved. */
  onChanges(slot: Slot, changes: readonly LeafChange[], through: Position): void;
  /** The slot's leaves were forgotten: it is read anew, or not held here any more. */
  onReset(slot: Slot): void;
}

/** Asked when a change is read: what it says no to is not kept until its position is whole. */
export type Covers = (change: LeafChange) => boolean;

export interface StateFeed {
  /** Of these slots, or of all. Returns the way to leave. A listener does not throw. */
  listen(listener: StateListener, slots?: readonly Slot[]): () => void;
  /** The changes of a slot behind `after`, out of the log; only those that `covers` says are of interest. */
  replay(after: Position, covers?: Covers): ReplayStart;
}

export type ReplayStart =
  | { readonly kind: 'replay'; readonly replay: Replay }
  /** The log does not hold everything behind it any more. */
  | { readonly kind: 'expired'; readonly detail: string }
  /** No position that this log has ever had, as far as we can tell. */
  | { readonly kind: 'unknown'; readonly detail: string }
  /** We are not as far as the position yet. */
  | { readonly kind: 'ahead' };

export interface ReplayBatch {
  readonly changes: readonly LeafChange[];
  readonly through: Position;
}

export interface Replay {
  /**
   * The next changes, at most those of one fetch; null when everything that the store has applied was returned. Before
   * that null is returned `onLive` is called, in the turn in which it is true: from then on the listener hears the rest.
   * Rejects when `signal` aborts, and with HoldfastError `NOT_CAUGHT_UP` when the log cannot be read to the end.
   */
  next(signal: AbortSignal, onLive: () => void): Promise<ReplayBatch | null>;
}
