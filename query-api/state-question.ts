/** A question about state, from the parameters of a request, and the page of leaves that answers it. */
import { setImmediate as nextTurn } from 'node:timers';
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { parsePath } from '../schemas/path.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { type ValueEncoding } from '../schemas/value.ts';
import { formatLeaf } from './leaf-json.ts';
import { choice, formatPageToken, integer, invalid, pageToken, type Parameters } from './parameters.ts';
import { encodings, limitRange } from './query-parameters.ts';
import { type LeafView, type StoreView } from './store.ts';

export interface NamedPattern {
  readonly text: string;
  readonly pattern: PathPattern;
}

export interface StateQuestion {
  /** None given: everything of the origin `openconfig`. */
  readonly patterns: readonly NamedPattern[];
  readonly encoding: ValueEncoding;
  readonly limit: number;
  /** Device and key of the last leaf of the page before. */
  readonly after: readonly string[] | undefined;
}

/** Throws `PATH_MALFORMED` (as PathMalformed) and `PARAMETER_INVALID`. */
export function parseQuestion(
  parameters: Parameters,
  limits: { maxLeaves: number; maxPathElements: number },
): StateQuestion {
  const paths = parameters.get('path') ?? ['/'];
  return {
    patterns: paths.map((text) => ({ text, pattern: parsePattern(text, limits.maxPathElements) })),
    encoding: choice(parameters, 'encoding', encodings) ?? 'rfc7951',
    limit: integer(parameters, 'limit', limitRange(limits)) ?? limits.maxLeaves,
    after: pageToken(parameters, 2),
  };
}

function parsePattern(text: string, maxPathElements: number): PathPattern {
  if (text === '') throw invalid('path', 'is empty; the root is /');
  const path = parsePath(text);
  if (path.elems.length > maxPathElements) {
    const detail = `path has ${path.elems.length} elements, more than the ${maxPathElements} allowed`;
    throw new HoldfastError('PATH_MALFORMED', detail, { facts: { maxPathElements } });
  }
  return compilePattern(path);
}

export interface StatePage {
  /** JSON text of each leaf. */
  readonly leaves: readonly string[];
  /** All leaves that match, on this page or not. */
  readonly total: number;
  readonly next: string | null;
}

/**
 * A page ends here even below its limit: ten thousand leaves may each be a megabyte of JSON, and an answer is built in
 * memory. Characters of JSON text; always at least one leaf.
 */
const pageCharsMax = 16 * 1024 * 1024;

/** Other requests wait no longer than this for one that reads a whole fleet. */
const turnMs = 5;

/** `devices` in ascending order. Leaves come ordered by device and key. */
export async function answerQuestion(
  question: StateQuestion,
  devices: readonly string[],
  source: { readonly store: StoreView; readonly slots: number; readonly clock: Clock; readonly pageCharsMax?: number },
  signal: AbortSignal,
): Promise<StatePage> {
  const { store, clock } = source;
  const nowNs = clock.nowNs();
  const leaves: string[] = [];
  const [afterDevice = '', afterKey = ''] = question.after ?? [];
  let total = 0;
  let charsLeft = source.pageCharsMax ?? pageCharsMax;
  let last: LeafView | undefined;
  let cutShort = false;
  let turnStartedMonotonicMs = clock.monotonicMs();
  for (const device of devices) {
    const found = find(store, device, question.patterns);
    total += found.length;
    if (device >= afterDevice && !cutShort) {
      const slot: Slot = slotOf(device, source.slots);
      for (const leaf of found) {
        if (device === afterDevice && leaf.key <= afterKey) continue;
        if (leaves.length >= question.limit || charsLeft <= 0) {
          cutShort = true;
          break;
        }
        const text = formatLeaf(leaf, slot, question.encoding, nowNs);
        leaves.push(text);
        charsLeft -= text.length;
        last = leaf;
      }
    }
    if (clock.monotonicMs() - turnStartedMonotonicMs > turnMs) {
      await new Promise<void>((resolve) => nextTurn(resolve));
      signal.throwIfAborted();
      turnStartedMonotonicMs = clock.monotonicMs();
    }
  }
  const next = cutShort && last !== undefined ? formatPageToken([last.device, last.key]) : null;
  return { leaves, total, next };
}

function find(store: StoreView, device: string, patterns: readonly NamedPattern[]): readonly LeafView[] {
  const [first] = patterns;
  if (first !== undefined && patterns.length === 1) return store.find(device, first.pattern, first.text);
  const byKey = new Map<string, LeafView>();
  for (const { pattern, text } of patterns) {
    for (const leaf of store.find(device, pattern, text)) byKey.set(leaf.key, leaf);
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
