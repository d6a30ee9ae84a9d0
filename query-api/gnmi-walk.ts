/**
 * One pass over the present leaves of devices, in slices: the first set of a stream, a poll, a sample, a heartbeat.
 *
 * W1. What is sent is the store's value of that very turn: nothing is carried over from one slice to the next but the key
 *     of the last leaf.
 * W2. Each covered leaf comes once, however many paths cover it (S14).
 * W3. An atomic group comes whole, in the place of its first leaf, with every leaf of it that the request covers (A10):
 *     also those that only another path of the request covers, because a reader takes the rest of the group for gone.
 *     Leaves that are under no guarantee any more come one by one (AG1 of gnmi-group.ts).
 */
import { type PathElem } from '../schemas/path.ts';
import { type GnmiCoverage } from './gnmi-coverage.ts';
import { type AtomicGroup, rootKeyOf, storedGroup } from './gnmi-group.ts';
import { type HealthLeaf } from './gnmi-health.ts';
import { leavesInPages } from './leaf-pages.ts';
import { type LeafView, type StoreView } from './store.ts';

export interface WalkSink {
  leaf(device: string, leaf: LeafView): void;
  group(device: string, rootKey: string, group: AtomicGroup): void;
  health(device: string, leaf: HealthLeaf): void;
}

export interface WalkOptions {
  readonly store: StoreView;
  readonly devices: readonly string[];
  /** What this pass is about. */
  readonly coverage: GnmiCoverage;
  /** What the whole request is about (W3). */
  readonly groupCoverage: GnmiCoverage;
  readonly health: (device: string) => readonly HealthLeaf[];
  /** False: the leaf is as it was when it was sent last, and need not be sent. */
  readonly needs: (device: string, key: string, value: Buffer, elems: () => readonly PathElem[]) => boolean;
  readonly sink: WalkSink;
}

const perPage = 256;

export class GnmiWalk {
  readonly #options: WalkOptions;
  #deviceIndex = 0;
  #after = '';
  /** Roots of the present device that were come upon, and whether there was a group (W3). */
  readonly #roots = new Map<string, boolean>();

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Sends until `mustStop` says so; at least one leaf. True when the pass is over. */
  step(mustStop: () => boolean): boolean {
    const { devices, coverage, health, needs, sink } = this.#options;
    for (;;) {
      const device = devices[this.#deviceIndex];
      if (device === undefined) return true;
      if (!this.#stepDevice(device, mustStop)) return false;
      for (const leaf of health(device)) {
        if (coverage.coversHealth(leaf.elems) && needs(device, leaf.key, leaf.value, () => leaf.elems)) {
          sink.health(device, leaf);
        }
      }
      this.#deviceIndex += 1;
      this.#after = '';
      this.#roots.clear();
      if (mustStop()) return false;
    }
  }

  #stepDevice(device: string, mustStop: () => boolean): boolean {
    const { store, coverage } = this.#options;
    const pages = { after: this.#after, perPage };
    for (const leaf of leavesInPages(store, coverage.patterns, device, pages)) {
      this.#after = leaf.key; // W1
      this.#visit(device, leaf);
      if (mustStop()) return false;
    }
    return true;
  }

  #visit(device: string, leaf: LeafView): void {
    const { coverage, needs, sink } = this.#options;
    if (!coverage.isWithin(leaf.key, () => leaf.elems) || this.#isInGroup(device, leaf)) return;
    if (needs(device, leaf.key, leaf.value, () => leaf.elems)) sink.leaf(device, leaf);
  }

  /** Sends the group of the leaf where it has not been come upon before (W3). */
  #isInGroup(device: string, leaf: LeafView): boolean {
    if (leaf.atomicRoot === '') return false;
    const { store, groupCoverage, needs, sink } = this.#options;
    const rootKey = rootKeyOf(leaf.key, leaf.atomicRoot);
    const known = this.#roots.get(rootKey);
    if (known !== undefined) return known;
    const state = storedGroup(store, groupCoverage, device, rootKey);
    this.#roots.set(rootKey, state.kind === 'whole');
    if (state.kind !== 'whole') return false;
    const { group } = state;
    const changed = group.leaves.some((member) => needs(device, member.key, member.value, () => member.elems));
    if (changed) sink.group(device, rootKey, group);
    return true;
  }
}
