/**
 * What one stream has still to tell: one entry per leaf, in the place of its first change that still waits.
 *
 * O1. A leaf's newest value is what is sent; how many it stands for is counted, never lost (N15).
 * O2. A delete is never merged away: deleted and set again is sent as that, in that order.
 * O3. Markers (sync, a device that is gone or new) stay behind everything that was put before them.
 * O4. A change behind the removal of its device is not merged into one before it, nor taken out while that removal still
 *     waits: it would be told first, and taken for gone with the rest. Entries of other devices are not touched by that.
 */
import { ConflatingQueue } from '../core/conflating-queue.ts';
import { type FedChange, type HealthChange } from './gnmi-hub.ts';

export interface PendingLeaf {
  readonly kind: 'leaf';
  readonly device: string;
  /** `origin:/path` */
  readonly key: string;
  deleted: PendingChange | null;
  updated: PendingChange | null;
  /** Updates that `updated` stands for beside itself. */
  merged: number;
}

export type PendingChange = FedChange | HealthChange;

export interface Marker {
  readonly kind: 'sync' | 'device-removed' | 'device-added';
  /** Empty for a sync. */
  readonly device: string;
  readonly timestampNs: bigint;
}

export type Pending = PendingLeaf | Marker;

export class GnmiOutbox {
  readonly #queue: ConflatingQueue<string, Pending>;
  /** Of devices that were removed: which removal was the last, and how many of them wait (O4). */
  readonly #removals = new Map<string, { last: number; waiting: number }>();
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
  put(device: string, key: string, change: PendingChange, isDelete: boolean): boolean {
    const leaf: PendingLeaf = {
      kind: 'leaf',
      device,
      key,
      deleted: isDelete ? change : null,
      updated: isDelete ? null : change,
      merged: 0,
    };
    return this.#queue.put(this.#sinceRemoval(device), key, leaf) !== 'full';
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
    if (this.#queue.length === 0) this.#removals.clear();
    return pending;
  }

  get(device: string, key: string): PendingLeaf | undefined {
    if (this.#isBeingRemoved(device)) return undefined;
    const pending = this.#queue.find(this.#sinceRemoval(device), key)?.value;
    return pending?.kind === 'leaf' ? pending : undefined;
  }

  /** Out of turn, because it goes with something that is sent now. */
  takeLeaf(device: string, key: string): PendingLeaf | undefined {
    if (this.#isBeingRemoved(device)) return undefined;
    const pending = this.#queue.takeKey(this.#sinceRemoval(device), key)?.value;
    return pending?.kind === 'leaf' ? pending : undefined;
  }

  clear(): void {
    this.#queue.clear();
    this.#removals.clear();
  }

  #isBeingRemoved(device: string): boolean {
    return (this.#removals.get(device)?.waiting ?? 0) > 0;
  }

  /** O4: other keys behind a removal than before it. Mostly the name as it is: a string per change would be kept by each. */
  #sinceRemoval(device: string): string {
    const removal = this.#removals.get(device);
    return removal === undefined ? device : `\0${removal.last} ${device}`;
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
    return queued;
  }
}
