/**
 * An atomic group as a reader is told of it: all of it that is stored now and that the reader's request covers, at once
 * (A10), whichever messages and RPCs brought it (A9). What one message said of it is not kept: told alone it would have
 * readers take the rest of the group for gone (A2).
 *
 * AG1. There is a group while every covered leaf at or below its root came in an atomic message for just that root. A leaf
 *      there that is plain, our own, or of a group further down ends the guarantee (A3, A6): then the leaves are told like
 *      any others.
 * AG2. Its time is the latest of its leaves.
 */
import { beginningLength } from '../core/path-elements.ts';
import { defaultOrigin, parseOrigin, parsePath, type PathElem } from '../schemas/path.ts';
import { type GnmiCoverage } from './gnmi-coverage.ts';
import { leavesInPages } from './leaf-pages.ts';
import { type LeafView, type StoreView } from './store.ts';

export interface AtomicGroup {
  readonly origin: string;
  readonly root: readonly PathElem[];
  readonly timestampNs: bigint;
  /** In key order, at least one. */
  readonly leaves: readonly LeafView[];
}

/** Most groups are small; of a large one the rest is looked up at once. */
const pages = { inFirst: 16, perPage: 1_024 };

/** Where the group of a leaf has its root, as `origin:/path`. */
export function rootKeyOf(leafKey: string, atomicRoot: string): string {
  return leafKey.slice(0, parseOrigin(leafKey)?.end ?? 0) + atomicRoot;
}

export function isAtOrBelow(leafKey: string, rootKey: string): boolean {
  const end = parseOrigin(rootKey)?.end ?? 0;
  return leafKey.startsWith(rootKey.slice(0, end)) && beginningLength(leafKey.slice(end), rootKey.slice(end)) >= 0;
}

export type GroupState =
  | { readonly kind: 'whole'; readonly group: AtomicGroup }
  /** Its leaves are under no guarantee any more (AG1), because of this leaf; null: because of our own. */
  | { readonly kind: 'ended'; readonly by: LeafView | null }
  /** None of its leaves is stored. */
  | { readonly kind: 'gone' };

/** `endedBy`: the key of a leaf that ended it when it was looked at last; while it does so still the rest is not read. */
export function storedGroup(
  store: StoreView,
  coverage: GnmiCoverage,
  device: string,
  rootKey: string,
  endedBy?: string,
): GroupState {
  const { origin = defaultOrigin, end = 0 } = parseOrigin(rootKey) ?? {};
  const root = rootKey.slice(end);
  if (root === '/' && origin === defaultOrigin && coverage.coversAnyHealth()) return { kind: 'ended', by: null }; // AG1
  const ends = (leaf: LeafView): boolean => leaf.atomicRoot !== root && beginningLength(leaf.path, root) >= 0; // AG1
  if (endedBy !== undefined) {
    const [leaf] = leavesInPages(store, coverage.patterns, device, { after: keyBefore(endedBy), limit: 1 });
    if (leaf?.key === endedBy && ends(leaf)) return { kind: 'ended', by: leaf };
  }
  const leaves: LeafView[] = [];
  for (const leaf of leavesInPages(store, coverage.patterns, device, { after: keyBefore(rootKey), ...pages })) {
    if (leaf.key < rootKey) continue;
    if (!leaf.key.startsWith(rootKey)) break;
    if (!coverage.isWithin(leaf.key, () => leaf.elems)) continue;
    if (leaf.atomicRoot === root) leaves.push(leaf);
    else if (ends(leaf)) return { kind: 'ended', by: leaf };
  }
  return stateOf(origin, root, leaves);
}

function stateOf(origin: string, root: string, leaves: readonly LeafView[]): GroupState {
  const [first] = leaves;
  if (first === undefined) return { kind: 'gone' };
  const timestampNs = leaves.reduce((latest, leaf) => laterOf(latest, leaf.timestampNs), first.timestampNs); // AG2
  return { kind: 'whole', group: { origin, root: parsePath(root).elems, timestampNs, leaves } };
}

/** Null: no time. */
export function laterOf<A extends bigint | null, B extends bigint | null>(a: A, b: B): A | B {
  if (a === null) return b;
  return b === null || a > b ? a : b;
}

const latestTimeNs = (1n << 63n) - 1n;

/** The time right behind, if there is one. */
export function behind(timestampNs: bigint): bigint {
  return timestampNs < latestTimeNs ? timestampNs + 1n : latestTimeNs;
}

/** A text that sorts before `key` and after everything else that does. */
function keyBefore(key: string): string {
  const last = key.charCodeAt(key.length - 1);
  return `${key.slice(0, -1)}${String.fromCharCode(last - 1)}\uffff`;
}
