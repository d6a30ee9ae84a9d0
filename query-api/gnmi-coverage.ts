/**
 * Which leaves the paths of a gNMI request cover (P7, P8), within the depth it asks for.
 *
 * C1. What a device itself says below `/meta` is covered by nothing: there our own health leaves are answered.
 * C2. Depth counts levels below the node that a path names: 1 is its own leaves and leaf-lists, 0 no limit.
 */
import { PathSelection, type PathId, type PathTable } from '../core/path-table.ts';
import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { defaultOrigin, formatPath, parseOrigin, type Path, type PathElem } from '../schemas/path.ts';
import { healthPaths, healthRoot } from './gnmi-health.ts';
import { type NamedPattern } from './store.ts';

export class GnmiCoverage {
  /** Wider than the coverage: depth and C1 are not in it. */
  readonly patterns: readonly NamedPattern[];
  readonly #selection: PathSelection;
  readonly #depths: readonly DepthPattern[];
  readonly #hasDepth: boolean;
  #coversAnyHealth: boolean | undefined;

  constructor(table: PathTable, paths: readonly Path[], depth: number) {
    this.patterns = paths.map((path) => ({ text: formatPath(path), pattern: compilePattern(path) }));
    this.#selection = new PathSelection(
      table,
      this.patterns.map(({ pattern }) => pattern),
    );
    this.#depths = paths.map((path) => new DepthPattern(path, depth));
    this.#hasDepth = depth > 0;
  }

  get isEmpty(): boolean {
    return this.patterns.length === 0;
  }

  /** Of a leaf that a device sent. Hot: once per change and reader. */
  coversLeaf(id: PathId, key: string, elems: () => readonly PathElem[]): boolean {
    return this.#selection.covers(id) && this.isWithin(key, elems);
  }

  /** Of a leaf that one of `patterns` is known to match. */
  isWithin(key: string, elems: () => readonly PathElem[]): boolean {
    if (isBelowHealthRoot(key)) return false; // C1
    return !this.#hasDepth || this.#covers(originOf(key), elems());
  }

  /** Of any leaf, ours or a device's. */
  coversElems(key: string, elems: readonly PathElem[]): boolean {
    return this.#covers(originOf(key), elems);
  }

  /** Of one of our own health leaves. */
  coversHealth(elems: readonly PathElem[]): boolean {
    return this.#covers(defaultOrigin, elems);
  }

  coversAnyHealth(): boolean {
    return (this.#coversAnyHealth ??= healthPaths.some((elems) => this.coversHealth(elems)));
  }

  #covers(origin: string, elems: readonly PathElem[]): boolean {
    return this.#depths.some((pattern) => pattern.origin === origin && pattern.matches(elems));
  }
}

function originOf(key: string): string {
  return parseOrigin(key)?.origin ?? defaultOrigin;
}

const healthKey = `${defaultOrigin}:/${healthRoot}`;

function isBelowHealthRoot(key: string): boolean {
  if (!key.startsWith(healthKey)) return false;
  const next = key[healthKey.length];
  return next === undefined || next === '/' || next === '[';
}

/** A name that no element of a device has: marks the end of a path. */
const pathEnd: PathElem = { name: '\0end', keys: new Map() };

class DepthPattern {
  readonly origin: string;
  readonly #whole: PathPattern;
  /** Matches a path that ends where the pattern does, and then `pathEnd`. */
  readonly #node: PathPattern;
  readonly #depth: number;

  constructor(path: Path, depth: number) {
    this.#whole = compilePattern(path);
    this.#node = compilePattern({ ...path, elems: [...path.elems, pathEnd] });
    this.origin = this.#whole.origin;
    this.#depth = depth;
  }

  matches(elems: readonly PathElem[]): boolean {
    if (this.#depth === 0) return this.#whole.matches(elems);
    // With `...` several nodes above a leaf may be meant; one that is near enough is all it takes (C2).
    for (let at = Math.max(0, elems.length - this.#depth); at <= elems.length; at += 1) {
      if (this.#node.matches([...elems.slice(0, at), pathEnd])) return true;
    }
    return false;
  }
}
