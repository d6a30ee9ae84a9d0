/**
 * What one stream has still to tell: one entry per leaf, in the place of its first change that still waits.
 *
 * O1. A leaf's newest value is what is sent; how many it stands for is counted, never lost (N15).
 * O2. A delete is never merged away: deleted and set again is sent as that, in that order.
 * O3. Markers (sync, a device that is gone) stay behind everything that was put before them.
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
  readonly kind: 'sync' | 'device-removed';
  /** Empty for a sync. */
  readonly device: string;
  readonly timestampNs: bigint;
}

export type Pending = PendingLeaf | Marker;

export class GnmiOutbox {
  readonly #queue: ConflatingQueue<string, Pending>;
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
    return this.#queue.put(leafKey(device, key), leaf) !== 'full';
  }

  putMarker(marker: Marker): boolean {
    return this.#queue.put(`\0${this.#markers++}`, marker) !== 'full'; // O3: a key of its own
  }

  /** The next entry in turn. */
  take(): Pending | undefined {
    return this.#queue.take()?.value;
  }

  get(device: string, key: string): PendingLeaf | undefined {
    const pending = this.#queue.find(leafKey(device, key))?.value;
    return pending?.kind === 'leaf' ? pending : undefined;
  }

  /** Out of turn, because it goes with something that is sent now. */
  takeLeaf(device: string, key: string): PendingLeaf | undefined {
    const pending = this.#queue.takeKey(leafKey(device, key))?.value;
    return pending?.kind === 'leaf' ? pending : undefined;
  }

  clear(): void {
    this.#queue.clear();
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

function leafKey(device: string, key: string): string {
  return `${device}|${key}`;
}
