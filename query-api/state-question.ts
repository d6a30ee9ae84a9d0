/** A question about state, from the parameters of a request, and the page of leaves that answers it. */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { parsePath } from '../schemas/path.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { type ValueEncoding } from '../schemas/value.ts';
import { formatLeaf } from './leaf-json.ts';
import { leavesInPages } from './leaf-pages.ts';
import { choice, formatPageToken, integer, invalid, pageToken, type Parameters } from './parameters.ts';
import { encodings, limitRange } from './query-parameters.ts';
import { type LeafSelection, type LeafView, type NamedPattern, type StoreView } from './store.ts';
import { Turns } from './turns.ts';

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

/** Some 10 µs each. */
const leavesPerLook = 32;

/** `devices` in ascending order, each once. Leaves come ordered by device and key. */
export async function answerQuestion(
  question: StateQuestion,
  devices: readonly string[],
  source: { readonly store: StoreView; readonly slots: number; readonly clock: Clock; readonly pageCharsMax?: number },
  signal: AbortSignal,
): Promise<StatePage> {
  const { store } = source;
  const turns = new Turns(source.clock, signal);
  const nowNs = source.clock.nowNs();
  const leaves: string[] = [];
  const [afterDevice = '', afterKey = ''] = question.after ?? [];
  let charsLeft = source.pageCharsMax ?? pageCharsMax;
  let last: LeafView | undefined;
  let cutShort = false;
  for (const device of devices) {
    if (device < afterDevice) continue;
    const after = device === afterDevice ? afterKey : '';
    const slot: Slot = slotOf(device, source.slots);
    // One more than there is room for, to know whether there is more.
    const limit = question.limit - leaves.length + 1;
    for (const leaf of leavesInPages(store, question.patterns, device, { after, limit })) {
      cutShort = leaves.length >= question.limit || charsLeft <= 0;
      if (cutShort) break;
      const text = formatLeaf(leaf, slot, question.encoding, nowNs);
      leaves.push(text);
      charsLeft -= text.length;
      last = leaf;
      if (leaves.length % leavesPerLook === 0 && turns.isOver) await turns.next();
    }
    if (cutShort) break;
    if (turns.isOver) await turns.next();
  }
  const total = await countLeaves(question.patterns, devices, store, turns);
  const next = cutShort && last !== undefined ? formatPageToken([last.device, last.key]) : null;
  return { leaves, total, next };
}

/** Of all devices at once, where they are asked for: a sum over paths. Else device by device. */
async function countLeaves(
  patterns: readonly NamedPattern[],
  devices: readonly string[],
  store: StoreView,
  turns: Turns,
): Promise<number> {
  const selection = (): LeafSelection => store.select(patterns);
  let present = 0;
  for (const device of devices) if (store.has(device)) present += 1;
  if (present === store.deviceCount) return selection().total;
  let total = 0;
  for (const device of devices) {
    total += selection().count(device);
    if (turns.isOver) await turns.next();
  }
  return total;
}
