/**
 * What one stream has still to tell: one entry per leaf, in the place of its first change that still waits.
 *
 * O1. A leaf's newest value is what is sent; how many it stands for is counted, never lost (N15).
 * O2. A delete is never merged away: deleted and set again is sent as that, in that order.
 * O3. Markers (sync, a device that is gone or new) stay behind everything that was put before them.
 * O4. A change behind the removal of its device is not merged into one before it, nor taken out while that removal still
 *     waits: it would be told first, and taken for gone with the rest. Entries of other devices are not touched by that.
 * O5. An entry holds its own change and none of the others that came with it: what waits is bounded by what is counted.
 */
import { ConflatingQueue } from '../core/conflating-queue.ts';
import { laterOf } from './gnmi-group.ts';
import { type FedChange, type HealthChange } from './gnmi-hub.ts';
import { type LeafChange } from './state-feed.ts';

export interface PendingLeaf {
  readonly kind: 'leaf';
  readonly device: string;
  /** `origin:/path` */
  readonly key: string;
  deleted: PendingChange | null;
  updated: PendingChange | null;
  /** Updates that `updated` stands for beside itself. */
  merged: number;
  /** Roots of atomic groups that its changes are of, the newest first: the reader has heard of none of them yet. */
  roots: readonly string[];
  /** The latest time that the reader may have heard of it with, in one of them. */
  formerNs: bigint | null;
  /** Where it is listed while it has a delete. */
  listed: readonly string[];
}

/** Not what the hub wraps it in: that would be another object an entry. */
export type PendingChange = LeafChange | HealthChange; // O5

export interface Marker {
  readonly kind: 'sync' | 'device-removed' | 'device-added';
  /** Empty for a sync. */
  readonly device: string;
  readonly timestampNs: bigint;
}

export type Pending = PendingLeaf | Marker;

/** Most changes are of no atomic group. */
const none: readonly string[] = [];

export class GnmiOutbox {
  readonly #queue: ConflatingQueue<string, Pending>;
  /** Of devices that were removed: which removal was the last, and how many of them wait (O4). */
  readonly #removals = new Map<string, { last: number; waiting: number }>();
  /** Keys of the deletes that wait, by the root of each atomic group that they are of. */
  readonly #deletes = new Map<string, Set<string>>();
  #coalesced = 0;
  #markers = 0;

  constructor(limit: number) {
    this.#queue = new ConflatingQueue({
      limit,
      place: 'first',
      merge: (queued, incoming) => this.#merge(queued, incoming),
    });
  }

  /** Changes that others stand for. */
  get coalesced(): number {
    return this.#coalesced;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** False: it is full, and the change is not in it. */
  put(device: string, key: string, fed: FedChange | HealthChange, isDelete: boolean): boolean {
    const change = 'change' in fed ? fed.change : fed;
    const leaf: PendingLeaf = {
      kind: 'leaf',
      device,
      key,
      deleted: isDelete ? change : null,
      updated: isDelete ? null : change,
      merged: 0,
      roots: 'roots' in fed ? fed.roots : none,
      formerNs: 'roots' in fed ? fed.formerNs : null,
      listed: none,
    };
    const put = this.#queue.put(this.#sinceRemoval(device), key, leaf);
    if (put === 'queued') this.#list(leaf);
    return put !== 'full';
  }

  putMarker(marker: Marker): boolean {
    this.#markers += 1;
    if (this.#queue.put('\0', `${this.#markers}`, marker) === 'full') return false; // O3: a key of its own
    if (marker.kind === 'device-removed') {
      const waiting = (this.#removals.get(marker.device)?.waiting ?? 0) + 1;
      this.#removals.set(marker.device, { last: this.#markers, waiting });
    }
    return true;
  }

  /** The next entry in turn. */
  take(): Pending | undefined {
    const pending = this.#queue.take()?.value;
    if (pending?.kind === 'device-removed') {
      const removal = this.#removals.get(pending.device);
      if (removal !== undefined) removal.waiting -= 1;
    }
    if (pending?.kind === 'leaf') this.#unlist(pending);
    if (this.#queue.length === 0) this.#removals.clear();
    return pending;
  }

  /** Out of turn, because it goes with something that is sent now. */
  takeLeaf(device: string, key: string): PendingLeaf | undefined {
    if (this.#isBeingRemoved(device)) return undefined;
    const pending = this.#queue.takeKey(this.#sinceRemoval(device), key)?.value;
    if (pending?.kind !== 'leaf') return undefined;
    this.#unlist(pending);
    return pending;
  }

  /** Out of turn: the deletes that are to be told with the group of this root, and what was set behind them. */
  takeDeletes(device: string, rootKey: string): PendingLeaf[] {
    if (this.#isBeingRemoved(device)) return [];
    const keys = this.#deletes.get(this.#rootOf(device, rootKey)) ?? [];
    return [...keys].flatMap((key) => this.takeLeaf(device, key) ?? []);
  }

  clear(): void {
    this.#deletes.clear();
    this.#queue.clear();
    this.#removals.clear();
  }

  #list(leaf: PendingLeaf): void {
    if (leaf.deleted === null || leaf.roots.length === 0) return;
    leaf.listed = leaf.roots.map((rootKey) => this.#rootOf(leaf.device, rootKey));
    for (const root of leaf.listed) {
      const keys = this.#deletes.get(root);
      if (keys === undefined) this.#deletes.set(root, new Set([leaf.key]));
      else keys.add(leaf.key);
    }
  }

  #unlist({ key, listed }: PendingLeaf): void {
    for (const root of listed) {
      const keys = this.#deletes.get(root);
      keys?.delete(key);
      if (keys?.size === 0) this.#deletes.delete(root);
    }
  }

  #isBeingRemoved(device: string): boolean {
    return (this.#removals.get(device)?.waiting ?? 0) > 0;
  }

  /** O4: other keys behind a removal than before it. Mostly the name as it is: a string per change would be kept by each. */
  #sinceRemoval(device: string): string {
    const removal = this.#removals.get(device);
    return removal === undefined ? device : `\0${removal.last} ${device}`;
  }

  #rootOf(device: string, rootKey: string): string {
    return `${this.#sinceRemoval(device)} ${rootKey}`;
  }

  #merge(queued: Pending, incoming: Pending): Pending | null {
    if (queued.kind !== 'leaf' || incoming.kind !== 'leaf') return null;
    if (queued.updated !== null) {
      this.#coalesced += 1;
      queued.merged += 1;
    }
    if (incoming.deleted !== null) {
      if (queued.deleted !== null) this.#coalesced += 1;
      queued.deleted = incoming.deleted; // O2
      queued.updated = null;
    } else queued.updated = incoming.updated; // O1
    this.#unlist(queued);
    if (incoming.roots.length > 0) queued.roots = [...new Set([...incoming.roots, ...queued.roots])]; // the newest first
    queued.formerNs = laterOf(queued.formerNs, incoming.formerNs);
    this.#list(queued);
    return queued;
  }
}
