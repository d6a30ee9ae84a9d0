import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { type Path } from '../schemas/path.ts';
import { type LeafShape, type Model } from './model.ts';

/** Which leaves a set of subscription paths covers. Decided once per model and set of paths: devices share the answer. */
export interface LeafFilter {
  /** Covers every leaf there is or will be. */
  readonly all: boolean;
  covers(shape: LeafShape): boolean;
}

export const noLeaves: LeafFilter = { all: false, covers: () => false };

const known = new WeakMap<Model, Map<string, LeafFilter>>();
const filtersMax = 1000; // per model: beyond that many different requests they are computed again

/** `key` stands for `paths` and is equal only for equal ones. */
export function leafFilter(model: Model, key: string, paths: readonly Path[]): LeafFilter {
  if (paths.length === 0) return noLeaves;
  let filters = known.get(model);
  if (filters === undefined || filters.size >= filtersMax) known.set(model, (filters = new Map<string, LeafFilter>()));
  const existing = filters.get(key);
  if (existing !== undefined) return existing;
  const filter = createFilter(model, paths);
  filters.set(key, filter);
  return filter;
}

function createFilter(model: Model, paths: readonly Path[]): LeafFilter {
  const patterns: readonly PathPattern[] = paths.map(compilePattern);
  const matches = ({ path }: LeafShape): boolean =>
    patterns.some((pattern) => pattern.origin === path.origin && pattern.matches(path.elems));
  const covered = Uint8Array.from(model.leaves, (shape) => (matches(shape) ? 1 : 0));
  const all = patterns.some((pattern) => pattern.origin === 'openconfig' && pattern.matches([]));
  return {
    all,
    // A device's own added leaves lie behind those of the model.
    covers: (shape) => all || (shape.index < covered.length ? covered[shape.index] === 1 : matches(shape)),
  };
}
