import { compilePattern } from '../schemas/path-pattern.ts';
import { formatElems, type PathElem } from '../schemas/path.ts';
import { leafKey } from '../schemas/topics.ts';
import { type Place } from './explode.ts';
import { type RpcWatch } from './sweep.ts';

/**
 * The leaves of one device, as a tree of elements: a lookup walks the path without formatting it, a delete walks only what
 * it covers. The key of a leaf's record is formatted once, when its path is first seen, and kept with it.
 *
 * L1. A path is one entry for as long as it is known; an entry without a value holds no leaf.
 * L2. Entries without a value are bounded: beyond `absentMax` they are all forgotten. Nothing but time is lost.
 */
export interface LeafEntry extends Place {
  /** Key of the leaf's record in `state`. */
  readonly key: Buffer;
  /** `/a/b[k=v]` */
  readonly path: string;
  /** Encoded TypedValue; null: no leaf here. */
  value: Buffer | null;
  /** The value's bytes are needed as they are (C6 of conflation.ts): `set` makes new ones. */
  isLent: boolean;
  timestampNs: bigint;
  receivedAtNs: bigint;
  /** Path of the atomic message that brought it (`atomic_root` of the record), or empty. */
  atomicRoot: string;
  /** Which Subscribe RPC of its session brought it, as the header of its record says (A9); 0: the only one. */
  rpc: number;
  /** SAMPLE: a reader may merge its values. */
  sampled: boolean;
  /** The subscriptions that `sampled` was decided by; null: not yet in this process. */
  watch: RpcWatch | null;
  /** Ordinal of the last telemetry record that spoke of it: what a sweep goes by. */
  seen: number;
  /** Index of the last update for it in the notification being applied (N12). */
  lastIndex: number;
}

/** The canonical texts of a leaf. */
export interface LeafTexts {
  readonly path: string;
  readonly key: string;
}

interface Node {
  readonly elem: PathElem;
  /** Children without keys by name, and with keys by their text: two maps, so that a name that looks like text of a
   * keyed element is not taken for one (N6). */
  plain: Map<string, Node> | null;
  keyed: Map<string, Node> | null;
  entry: LeafEntry | null;
}

const rootElem: PathElem = { name: '', keys: new Map() };
const absentMax = 10_000;

export class DeviceLeaves {
  readonly device: string;
  readonly #roots = new Map<string, Node>();
  /** Per element name its key names, or null once entries differ in them: then lookups by pattern must scan. */
  readonly #keyNames = new Map<string, string | null>();
  #present = 0;
  #absent = 0;

  constructor(device: string) {
    this.device = device;
  }

  /** Leaves that exist. */
  get size(): number {
    return this.#present;
  }

  /** The entry of a path, made if it is new (L1). `known`: its texts, where the caller has them from a record. */
  entry(origin: string, elems: readonly PathElem[], known: LeafTexts | null = null): LeafEntry {
    let node = this.#roots.get(origin);
    if (node === undefined) this.#roots.set(origin, (node = createNode(rootElem)));
    for (const elem of elems) node = this.#child(node, elem);
    return (node.entry ??= this.#createEntry(origin, elems, known));
  }

  /** Sets a leaf to a copy of the value: what arrives is a view that would keep a whole fetch alive. The caller fills in the
   * rest of the entry. */
  set(entry: LeafEntry, value: Buffer): void {
    if (entry.value === null) this.#count(1);
    if (entry.isLent || entry.value?.length !== value.length) entry.value = Buffer.allocUnsafeSlow(value.length);
    entry.isLent = false;
    value.copy(entry.value);
  }

  remove(entry: LeafEntry): void {
    if (entry.value !== null) this.#count(-1);
    entry.value = null;
    entry.isLent = false;
    entry.atomicRoot = '';
  }

  /** L2. Between records only: entries in hand would be cut off from the tree. */
  trim(): void {
    if (this.#absent <= absentMax) return;
    this.#keyNames.clear();
    for (const [origin, root] of this.#roots) {
      if (prune(root)) this.#roots.delete(origin);
      else this.#noteKeyNames(root);
    }
    this.#absent = 0;
  }

  /** Every leaf at the place or below; wildcards and omitted keys count (D1, D9). */
  covered(place: Place): LeafEntry[] {
    const root = this.#roots.get(place.origin);
    if (root === undefined) return [];
    const found: LeafEntry[] = [];
    let nodes = [root];
    for (const elem of place.elems) {
      if (elem.name === '...') return this.#matching(nodes, place);
      const next: Node[] = [];
      for (const node of nodes) this.#pushMatching(next, node, elem);
      nodes = next;
    }
    for (const node of nodes) collectLeaves(node, found);
    return found;
  }

  all(): LeafEntry[] {
    const found: LeafEntry[] = [];
    for (const root of this.#roots.values()) collectLeaves(root, found);
    return found;
  }

  #matching(nodes: readonly Node[], place: Place): LeafEntry[] {
    const pattern = compilePattern({ origin: place.origin, target: '', elems: place.elems });
    const found: LeafEntry[] = [];
    for (const node of nodes) collectLeaves(node, found);
    return found.filter((entry) => pattern.matches(entry.elems));
  }

  #child(node: Node, elem: PathElem): Node {
    if (elem.keys.size === 0) {
      const known = (node.plain ??= new Map<string, Node>()).get(elem.name);
      if (known !== undefined) return known;
      const child = createNode(elem);
      node.plain.set(elem.name, child);
      return child;
    }
    const text = formatElems([elem]);
    const known = (node.keyed ??= new Map<string, Node>()).get(text);
    if (known !== undefined) return known;
    const child = createNode(elem);
    node.keyed.set(text, child);
    this.#noteKeyName(elem);
    return child;
  }

  #noteKeyName(elem: PathElem): void {
    const names = keyNamesOf(elem);
    const before = this.#keyNames.get(elem.name);
    if (before !== names) this.#keyNames.set(elem.name, before === undefined ? names : null);
  }

  #noteKeyNames(node: Node): void {
    if (node.elem.keys.size > 0) this.#noteKeyName(node.elem);
    for (const children of [node.plain, node.keyed]) {
      if (children !== null) for (const child of children.values()) this.#noteKeyNames(child);
    }
  }

  #pushMatching(next: Node[], node: Node, elem: PathElem): void {
    if (elem.keys.size === 0) {
      if (elem.name === '*') {
        if (node.plain !== null) for (const child of node.plain.values()) next.push(child);
      } else {
        const child = node.plain?.get(elem.name);
        if (child !== undefined) next.push(child);
        if (!this.#keyNames.has(elem.name)) return;
      }
    } else if (this.#keyNames.get(elem.name) === keyNamesOf(elem) && !hasAnyValue(elem)) {
      const child = node.keyed?.get(formatElems([elem]));
      if (child !== undefined) next.push(child);
      return;
    }
    if (node.keyed === null) return;
    for (const child of node.keyed.values()) if (elemCovers(elem, child.elem)) next.push(child);
  }

  #createEntry(origin: string, elems: readonly PathElem[], known: LeafTexts | null): LeafEntry {
    const path = known?.path ?? formatElems(elems);
    this.#absent += 1;
    return {
      origin,
      elems,
      path,
      key: known === null ? Buffer.from(leafKey(this.device, origin, path)) : Buffer.from(known.key),
      value: null,
      isLent: false,
      timestampNs: 0n,
      receivedAtNs: 0n,
      atomicRoot: '',
      rpc: 0,
      sampled: false,
      watch: null,
      seen: 0,
      lastIndex: -1,
    };
  }

  #count(step: 1 | -1): void {
    this.#present += step;
    this.#absent -= step;
  }
}

function createNode(elem: PathElem): Node {
  return { elem, plain: null, keyed: null, entry: null };
}

function keyNamesOf(elem: PathElem): string {
  if (elem.keys.size === 1) for (const name of elem.keys.keys()) return JSON.stringify(name);
  return JSON.stringify([...elem.keys.keys()].sort());
}

function hasAnyValue(elem: PathElem): boolean {
  for (const value of elem.keys.values()) if (value === '*') return true;
  return false;
}

function elemCovers(pattern: PathElem, elem: PathElem): boolean {
  if (pattern.name !== '*' && pattern.name !== elem.name) return false;
  for (const [name, value] of pattern.keys) {
    const found = elem.keys.get(name);
    if (found === undefined || (value !== '*' && value !== found)) return false;
  }
  return true;
}

function collectLeaves(node: Node, found: LeafEntry[]): void {
  if (node.entry !== null && node.entry.value !== null) found.push(node.entry);
  if (node.plain !== null) for (const child of node.plain.values()) collectLeaves(child, found);
  if (node.keyed !== null) for (const child of node.keyed.values()) collectLeaves(child, found);
}

/** Drops entries without a value below the node; true if nothing is left of it. */
function prune(node: Node): boolean {
  if (node.entry?.value === null) node.entry = null;
  for (const children of [node.plain, node.keyed]) {
    if (children === null) continue;
    for (const [text, child] of children) if (prune(child)) children.delete(text);
  }
  return node.entry === null && (node.plain?.size ?? 0) === 0 && (node.keyed?.size ?? 0) === 0;
}
