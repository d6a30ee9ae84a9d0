/**
 * Path patterns: a request's or a delete's path with wildcards, matched against the paths of leaves.
 *
 * W1. A pattern covers the node it names and everything below (P8), so it matches if it matches a beginning of the path.
 * W2. `*` is one element of any name, `...` any number of elements, also none; a key value `*` any value of a key that is
 *     there; a key left out, any entry (P7).
 * W3. Time is bounded by elements of the pattern times elements of the path, whatever the pattern.
 */
import { type Path, type PathElem, normaliseOrigin } from './path.ts';

/** What one element of a pattern asks of an element of a path; `null` stands for `...`. */
export type PatternStep = ((elem: PathElem) => boolean) | null;

export interface PathPattern {
  /** Normalised: `openconfig` if the path said none. */
  readonly origin: string;
  /** For who keeps the answers of single steps; `matchSteps` puts them together. */
  readonly steps: readonly PatternStep[];
  /** Whether the path of a leaf, of this origin, is the pattern's node or below it. */
  matches(elems: readonly PathElem[]): boolean;
}

export function compilePattern(path: Path): PathPattern {
  const steps = path.elems.map(compileElem);
  const matches = (elems: readonly PathElem[]): boolean =>
    matchSteps(steps, elems.length, (step, at) => {
      const elem = elems[at];
      return elem !== undefined && steps[step]?.(elem) === true;
    });
  return { origin: normaliseOrigin(path.origin), steps, matches };
}

/** Whether a path uses wildcards: legal in requests and deletes, a data error in an update (P9). */
export function hasWildcard(elems: readonly PathElem[]): boolean {
  return elems.some(({ name, keys }) => name === '*' || name === anyDepth || [...keys.values()].includes('*'));
}

const anyDepth = '...';

function compileElem({ name, keys }: PathElem): PatternStep {
  if (name === anyDepth) return null;
  const wanted = [...keys];
  return (elem) => {
    if (name !== '*' && name !== elem.name) return false;
    for (const [key, value] of wanted) {
      const found = elem.keys.get(key);
      if (found === undefined || (value !== '*' && value !== found)) return false;
    }
    return true;
  };
}

/**
 * Whether a path of `length` elements matches; `test` compares one step, not null, with one element. Greedy with one point
 * of return, as for file globs: only the last `...` ever needs to take one element more (W3).
 */
export function matchSteps(
  steps: readonly PatternStep[],
  length: number,
  test: (step: number, at: number) => boolean,
): boolean {
  let step = 0;
  let at = 0;
  let returnStep = -1;
  let returnAt = 0;
  for (;;) {
    if (step === steps.length) return true; // W1: what is left of the path is below
    if (steps[step] === null) {
      returnStep = ++step;
      returnAt = at;
    } else if (at < length && test(step, at)) {
      step++;
      at++;
    } else {
      if (returnStep < 0 || returnAt >= length) return false;
      step = returnStep;
      at = ++returnAt;
    }
  }
}
