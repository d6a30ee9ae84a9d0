/**
 * Which paths a set of patterns covers.
 *
 * PS1. A path is compared at most once, and a step of a pattern with a distinct element once.
 * PS2. An id that was given out again is compared anew: a verdict holds the generation of its id in 6 bits. An id changes
 *      its generation at most once per sweep, and all verdicts are forgotten before 64 sweeps have passed.
 * PS3. At rest it remembers nothing, whatever the table holds: each path is compared whenever it is asked about.
 */
import { matchSteps, type PathPattern } from '../schemas/path-pattern.ts';
import { grownU8 } from './growing-column.ts';
import { type ElementId } from './path-elements.ts';
import { type PathId, type PathTable } from './path-table.ts';

/** Covered paths are odd; `listed` ones are in `ids`, too. */
const [unknown, covered, uncovered, listed] = [0, 1, 2, 3];
const verdictSweepsMax = 60;

/** One pattern, with what its steps said about elements. */
class ComparedPattern {
  readonly #table: PathTable;
  readonly #pattern: PathPattern;
  /** By step, by element id. */
  #verdicts: Uint8Array[];
  #elementFrees = 0;
  #path: PathId = 0;
  #remembers = true;

  constructor(table: PathTable, pattern: PathPattern) {
    this.#table = table;
    this.#pattern = pattern;
    this.#verdicts = pattern.steps.map(() => new Uint8Array(0));
  }

  remember(isWanted: boolean): void {
    this.#remembers = isWanted;
    this.#forget();
  }

  #forget(): void {
    this.#verdicts = this.#pattern.steps.map(() => new Uint8Array(0));
  }

  matches(id: PathId): boolean {
    const { frees } = this.#table.elements;
    if (frees !== this.#elementFrees) {
      this.#elementFrees = frees;
      this.#forget();
    }
    if (this.#pattern.origin !== this.#table.origin(id)) return false;
    this.#path = id;
    return matchSteps(this.#pattern.steps, this.#table.length(id), this.#test);
  }

  readonly #test = (step: number, at: number): boolean => {
    const element = this.#table.elementAt(this.#path, at);
    let verdicts = this.#verdicts[step];
    if (verdicts === undefined) return false;
    if (!this.#remembers) return this.#compare(step, element); // PS3
    if (element >= verdicts.length) {
      verdicts = grownU8(verdicts, Math.max(element + 1, this.#table.elements.size));
      this.#verdicts[step] = verdicts;
    }
    const verdict = verdicts[element];
    if (verdict !== unknown) return verdict === covered;
    const matches = this.#compare(step, element);
    verdicts[element] = matches ? covered : uncovered;
    return matches;
  };

  #compare(step: number, element: ElementId): boolean {
    return this.#pattern.steps[step]?.(this.#table.elements.elem(element)) === true;
  }
}

export class PathSelection {
  readonly #table: PathTable;
  readonly #patterns: readonly ComparedPattern[];
  /** By path id: generation << 2 | verdict. */
  #verdicts = new Uint8Array(256);
  #verdictsSinceSweep: number;
  #ids = new Uint32Array(0);
  #idsAtChanges = -1;
  #remembers = true;

  constructor(table: PathTable, patterns: readonly PathPattern[]) {
    this.#table = table;
    this.#patterns = patterns.map((pattern) => new ComparedPattern(table, pattern));
    this.#verdictsSinceSweep = table.sweeps;
  }

  /** From now on again. */
  remember(): void {
    if (!this.#remembers) this.#setRemembers(true);
  }

  /** PS3. */
  rest(): void {
    this.#setRemembers(false);
  }

  #setRemembers(isWanted: boolean): void {
    this.#remembers = isWanted;
    for (const pattern of this.#patterns) pattern.remember(isWanted);
    this.#verdicts = new Uint8Array(0);
    this.#forget();
  }

  /** Hot: once per changed leaf and reader. False for ids that are free. */
  covers(id: PathId): boolean {
    const verdict = this.#verdict(id);
    return verdict === unknown ? this.#compare(id) : (verdict & 1) === 1;
  }

  /** What is known of the path that has this id now. */
  #verdict(id: PathId): number {
    if (this.#table.sweeps - this.#verdictsSinceSweep >= verdictSweepsMax) this.#forget(); // PS2
    const verdict = this.#verdicts[id] ?? 0;
    return verdict >>> 2 === (this.#table.generation(id) & 0x3f) ? verdict & 3 : unknown;
  }

  #compare(id: PathId): boolean {
    if (!this.#table.isKnown(id)) return false;
    const isCovered = this.#patterns.some((pattern) => pattern.matches(id)); // PS1
    if (this.#remembers) this.#note(id, isCovered ? covered : uncovered);
    return isCovered;
  }

  #note(id: PathId, verdict: number): void {
    if (id >= this.#verdicts.length) this.#verdicts = grownU8(this.#verdicts, Math.max(id + 1, this.#table.size));
    this.#verdicts[id] = ((this.#table.generation(id) & 0x3f) << 2) | verdict;
  }

  #forget(): void {
    this.#verdicts.fill(0);
    this.#verdictsSinceSweep = this.#table.sweeps;
    this.#ids = new Uint32Array(0);
    this.#idsAtChanges = -1;
  }

  /** All ids that are covered, in ascending order of their keys; valid until the table changes. Not at rest. */
  ids(): Uint32Array<ArrayBuffer> {
    this.remember();
    const { changes, size } = this.#table;
    if (changes === this.#idsAtChanges) return this.#ids;
    const kept = this.#ids.filter((id) => this.#verdict(id) === listed);
    const added: PathId[] = [];
    for (let id = 0; id < size; id += 1) {
      if (this.#verdict(id) === listed || !this.covers(id)) continue;
      this.#note(id, listed);
      added.push(id);
    }
    this.#ids = mergeByKey(this.#table, kept, added);
    this.#idsAtChanges = changes;
    return this.#ids;
  }
}

/** `kept` is in order, `added` is not. */
function mergeByKey(table: PathTable, kept: Uint32Array<ArrayBuffer>, added: PathId[]): Uint32Array<ArrayBuffer> {
  if (added.length === 0) return kept;
  added.sort((a, b) => (table.key(a) < table.key(b) ? -1 : 1));
  const merged = new Uint32Array(kept.length + added.length);
  let next = 0;
  let length = 0;
  for (const id of kept) {
    while (next < added.length && table.key(added[next] ?? 0) < table.key(id)) merged[length++] = added[next++] ?? 0;
    merged[length++] = id;
  }
  while (next < added.length) merged[length++] = added[next++] ?? 0;
  return merged;
}
