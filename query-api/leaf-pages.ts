/** Leaves of a device in key order, each once, looked up in pages: whoever stops early has not paid for the rest. */
import { type LeafView, type NamedPattern, type StoreView } from './store.ts';

/** A device of an ordinary size is one page: each costs a search in its leaves. */
const perPageDefault = 1_000;

export interface LeafPages {
  /** Key: only what stands behind it. Empty: from the beginning on. */
  readonly after?: string;
  /** Most leaves in all. */
  readonly limit?: number;
  /** Leaves in a page, and in the first one where that is another number. */
  readonly perPage?: number;
  readonly inFirst?: number;
}

/** The turn may end between two leaves: what changes in the store meanwhile is seen with the next page. */
export function* leavesInPages(
  store: StoreView,
  patterns: readonly NamedPattern[],
  device: string,
  { after = '', limit = Infinity, perPage = perPageDefault, inFirst = perPage }: LeafPages = {},
): Generator<LeafView> {
  if (patterns.length === 0) return;
  let from = after;
  let left = limit;
  for (let next = inFirst; left > 0; next = perPage) {
    const asked = Math.min(left, next);
    const page = store.select(patterns).leaves(device, from, asked);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < asked) return;
    from = last.key;
    left -= page.length;
  }
}
