/**
 * How many leaves a device has and the latest time among them, for its health leaves. Looked up in the store once, then
 * kept by what is heard of: a reader of `/` on all devices must not cost a look at every leaf every second.
 *
 * HF1. Facts are kept only while they are followed; otherwise each answer looks.
 * HF2. The latest time never goes back while it is kept, as in the reference: a delete does not make a device older.
 */
import { compilePattern } from '../schemas/path-pattern.ts';
import { rootPath } from '../schemas/path.ts';
import { type LeafChange } from './state-feed.ts';
import { type LeafSelection, type StoreView } from './store.ts';

export interface DeviceFacts {
  readonly leaves: number;
  /** Null: it has no leaves. */
  readonly latestNs: bigint | null;
}

interface KeptFacts {
  leaves: number;
  latestNs: bigint | null;
  countIsOld: boolean;
}

const everything = [{ text: '/', pattern: compilePattern(rootPath) }];

export class HealthFacts {
  readonly #store: StoreView;
  readonly #kept = new Map<string, KeptFacts>();
  #follows = false;

  constructor(store: StoreView) {
    this.#store = store;
  }

  /** From now on every change is heard of; or none is any more. */
  follow(follows: boolean): void {
    this.#follows = follows;
    this.#kept.clear(); // HF1
  }

  isKept(device: string): boolean {
    return this.#kept.has(device);
  }

  of(device: string): DeviceFacts {
    const selection = this.#store.select(everything);
    const kept = this.#kept.get(device);
    if (kept === undefined) return this.#lookUp(selection, device);
    if (kept.countIsOld) {
      kept.leaves = selection.count(device);
      kept.countIsOld = false;
    }
    return kept;
  }

  #lookUp(selection: LeafSelection, device: string): DeviceFacts {
    const found = selection.leaves(device, '', Infinity);
    let latestNs: bigint | null = null;
    for (const { timestampNs } of found) if (latestNs === null || timestampNs > latestNs) latestNs = timestampNs;
    const facts = { leaves: found.length, latestNs, countIsOld: false };
    if (this.#follows) this.#kept.set(device, facts);
    return facts;
  }

  heard(changes: readonly LeafChange[]): void {
    if (this.#kept.size === 0) return;
    for (const { device, leaf, timestampNs } of changes) {
      const kept = this.#kept.get(device);
      if (kept === undefined) continue;
      kept.countIsOld = true;
      if (leaf !== null && (kept.latestNs === null || timestampNs > kept.latestNs)) kept.latestNs = timestampNs; // HF2
    }
  }

  forget(device: string): void {
    this.#kept.delete(device);
  }
}
