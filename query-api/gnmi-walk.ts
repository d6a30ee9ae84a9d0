/**
 * One pass over the present leaves of devices, in slices: the first set of a stream, a poll, a sample, a heartbeat.
 *
 * W1. What is sent is the store's value of that very turn: nothing is carried over from one slice to the next but the key
 *     of the last leaf.
 * W2. Each covered leaf comes once, however many paths cover it (S14).
 * W3. An atomic group comes whole, in the place of its first leaf, with every leaf of it that the request covers (A10):
 *     also those that only another path of the request covers, because a reader takes the rest of the group for gone.
 */
import { parsePath, type PathElem } from '../schemas/path.ts';
import { type GnmiCoverage } from './gnmi-coverage.ts';
import { type HealthLeaf } from './gnmi-health.ts';
import { type LeafView, type StoreView } from './store.ts';

export interface WalkSink {
  leaf(device: string, leaf: LeafView): void;
  group(device: string, group: StoredGroup): void;
  health(device: string, leaf: HealthLeaf): void;
}

export interface StoredGroup {
  readonly origin: string;
  readonly root: readonly PathElem[];
  readonly timestampNs: bigint;
  /** In key order, at least one. */
  readonly leaves: readonly LeafView[];
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

const pageLeaves = 256;

export class GnmiWalk {
  readonly #options: WalkOptions;
  #deviceIndex = 0;
  #after = '';
  /** Groups of the present device that were sent (W3). */
  readonly #sentRoots = new Set<string>();

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
      this.#sentRoots.clear();
      if (mustStop()) return false;
    }
  }

  #stepDevice(device: string, mustStop: () => boolean): boolean {
    const { store, coverage } = this.#options;
    for (;;) {
      const page = leavesOf(store, coverage, device, this.#after, pageLeaves);
      for (const leaf of page) {
        this.#after = leaf.key; // W1
        this.#visit(device, leaf);
        if (mustStop()) return false;
      }
      if (page.length < pageLeaves) return true;
    }
  }

  #visit(device: string, leaf: LeafView): void {
    const { coverage, needs, sink } = this.#options;
    if (!coverage.isWithin(leaf.key, () => leaf.elems)) return;
    if (leaf.atomicRoot === '') {
      if (needs(device, leaf.key, leaf.value, () => leaf.elems)) sink.leaf(device, leaf);
      return;
    }
    const root = rootKey(leaf);
    if (this.#sentRoots.has(root)) return;
    this.#sentRoots.add(root);
    const group = groupOf(this.#options.store, this.#options.groupCoverage, device, leaf);
    const changed = group.leaves.some((member) => needs(device, member.key, member.value, () => member.elems));
    if (changed) sink.group(device, group);
  }
}

function rootKey(leaf: LeafView): string {
  return leaf.key.slice(0, leaf.key.length - leaf.path.length) + leaf.atomicRoot;
}

/** The group of a leaf; its members stand together in key order, with others in between. */
export function groupOf(store: StoreView, coverage: GnmiCoverage, device: string, first: LeafView): StoredGroup {
  const root = rootKey(first);
  const leaves: LeafView[] = [];
  let after = keyBefore(root);
  for (;;) {
    const page = leavesOf(store, coverage, device, after, pageLeaves);
    for (const leaf of page) {
      if (!leaf.key.startsWith(root)) return stored(first, leaves);
      if (leaf.atomicRoot !== first.atomicRoot || leaf.origin !== first.origin) continue;
      if (coverage.isWithin(leaf.key, () => leaf.elems)) leaves.push(leaf);
    }
    after = page.at(-1)?.key ?? after;
    if (page.length < pageLeaves) return stored(first, leaves);
  }
}

function stored(first: LeafView, leaves: readonly LeafView[]): StoredGroup {
  const timestampNs = leaves.reduce(
    (latest, leaf) => (leaf.timestampNs > latest ? leaf.timestampNs : latest),
    first.timestampNs,
  );
  return { origin: first.origin, root: parsePath(first.atomicRoot).elems, timestampNs, leaves };
}

/** A text that sorts before `key` and after everything else that does. */
function keyBefore(key: string): string {
  const last = key.charCodeAt(key.length - 1);
  return `${key.slice(0, -1)}${String.fromCharCode(last - 1)}\uffff`;
}

/** At most `limit` leaves that the paths of `coverage` match, behind the key `after`, in key order, each once (W2). */
export function leavesOf(
  store: StoreView,
  coverage: GnmiCoverage,
  device: string,
  after: string,
  limit: number,
): readonly LeafView[] {
  if (coverage.isEmpty) return [];
  return store.select(coverage.patterns).leaves(device, after, limit);
}
