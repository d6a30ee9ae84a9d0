/**
 * Paths of leaves as small integers, so that a path pattern is compared with a path once, not once per leaf.
 *
 * P1. One key `origin:/path` has one id for as long as anything uses it; ids are dense, from 0.
 */
import { type PathPattern } from '../schemas/path-pattern.ts';
import { parseOrigin, parsePath, type PathElem } from '../schemas/path.ts';
import { RecordMalformed } from '../schemas/position.ts';

export type PathId = number;

interface KnownPath {
  readonly key: string;
  readonly origin: string;
  /** Canonical text, `/a/b[k=v]`. */
  readonly path: string;
  elems: readonly PathElem[] | null;
}

export class PathTable {
  readonly #ids = new Map<string, PathId>();
  readonly #paths: KnownPath[] = [];

  /** Ids below this one have been given out. */
  get size(): number {
    return this.#paths.length;
  }

  /** The id of a key `origin:/path`, a new one if need be (P1). Throws RecordMalformed if it has no origin. */
  intern(key: string): PathId {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const parsed = parseOrigin(key);
    if (parsed === undefined) throw new RecordMalformed(`key ${JSON.stringify(key)} is not origin:/path`);
    const id = this.#paths.length;
    this.#paths.push({ key, origin: parsed.origin, path: key.slice(parsed.end), elems: null });
    this.#ids.set(key, id);
    return id;
  }

  key(id: PathId): string {
    return this.#known(id).key;
  }

  origin(id: PathId): string {
    return this.#known(id).origin;
  }

  path(id: PathId): string {
    return this.#known(id).path;
  }

  elems(id: PathId): readonly PathElem[] {
    const known = this.#known(id);
    return (known.elems ??= parsePath(known.path).elems);
  }

  #known(id: PathId): KnownPath {
    const known = this.#paths[id];
    if (known === undefined) throw new RangeError(`path ${id} is not known`);
    return known;
  }
}

/** Which paths a set of patterns covers: each path is compared at most once. */
export class PathSelection {
  readonly #table: PathTable;
  readonly #patterns: readonly PathPattern[];
  /** By path id: 0 not compared yet, 1 covered, 2 not. */
  #verdicts = new Uint8Array(256);

  constructor(table: PathTable, patterns: readonly PathPattern[]) {
    this.#table = table;
    this.#patterns = patterns;
  }

  covers(id: PathId): boolean {
    if (id >= this.#verdicts.length) this.#grow(id);
    const verdict = this.#verdicts[id];
    if (verdict !== 0) return verdict === 1;
    const origin = this.#table.origin(id);
    const elems = this.#table.elems(id);
    const covered = this.#patterns.some((pattern) => pattern.origin === origin && pattern.matches(elems));
    this.#verdicts[id] = covered ? 1 : 2;
    return covered;
  }

  #grow(id: PathId): void {
    const grown = new Uint8Array(Math.max(id + 1, this.#verdicts.length * 2));
    grown.set(this.#verdicts);
    this.#verdicts = grown;
  }
}
