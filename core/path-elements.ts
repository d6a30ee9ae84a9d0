/**
 * The distinct elements of known paths, `interface[name=et-0/0/1]`, as small integers: a million paths are made of far
 * fewer elements, and a step of a pattern is compared with an element once.
 *
 * PE1. One text has one id for as long as a path uses it. `frees` counts the ids that were taken back: who keeps something
 *      by id forgets it when the count has changed.
 * PE2. Only what parses as one element has an id.
 */
import { parsePath, type PathElem } from '../schemas/path.ts';
import { grownU32 } from './growing-column.ts';

export type ElementId = number;

/** A parsed element with keys takes some 300 bytes, its text 50. */
const parsedMax = 65_536;

const emptyElem: PathElem = { name: '', keys: new Map() };

export class PathElements {
  readonly #ids = new Map<string, ElementId>();
  readonly #texts: string[] = [];
  readonly #free: ElementId[] = [];
  #uses = new Uint32Array(256);
  #parsed = new Map<ElementId, PathElem>();
  #frees = 0;

  /** Ids below this one have been given out. */
  get size(): number {
    return this.#texts.length;
  }

  /** PE1. */
  get frees(): number {
    return this.#frees;
  }

  /** The id of an element's canonical text, one use more. Throws PathMalformed (PE2). */
  use(text: string): ElementId {
    const known = this.#ids.get(text);
    if (known !== undefined) {
      this.#uses[known] = (this.#uses[known] ?? 0) + 1;
      return known;
    }
    parseElement(text);
    const id = this.#free.pop() ?? this.#texts.length;
    if (id >= this.#uses.length) this.#uses = grownU32(this.#uses, id + 1);
    this.#texts[id] = text;
    this.#uses[id] = 1;
    this.#ids.set(text, id);
    return id;
  }

  release(id: ElementId): void {
    const uses = (this.#uses[id] ?? 0) - 1;
    this.#uses[id] = uses;
    if (uses > 0) return;
    this.#ids.delete(this.text(id));
    this.#texts[id] = '';
    this.#parsed.delete(id);
    this.#free.push(id);
    this.#frees += 1;
  }

  text(id: ElementId): string {
    return this.#texts[id] ?? '';
  }

  elem(id: ElementId): PathElem {
    const known = this.#parsed.get(id);
    if (known !== undefined) return known;
    if (this.#parsed.size >= parsedMax) this.#parsed = new Map();
    const elem = parseElement(this.text(id));
    this.#parsed.set(id, elem);
    return elem;
  }
}

function parseElement(text: string): PathElem {
  return text === '' ? emptyElem : (parsePath(`/${text}`).elems[0] ?? emptyElem);
}

const [slash, open, close, backslash] = [0x2f, 0x5b, 0x5d, 0x5c];

/** Where the element that begins at `from` ends in the text of a path: at the next `/` outside of keys, or at the end. */
export function elementEnd(text: string, from: number): number {
  let inKeys = false;
  for (let at = from; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === backslash) at += 1;
    else if (inKeys) inKeys = unit !== close;
    else if (unit === open) inKeys = true;
    else if (unit === slash) return at;
  }
  return text.length;
}

/** The text of the first `count` elements of a path; `/` for none. */
export function pathBeginning(path: string, count: number): string {
  let end = 0;
  for (let element = 0; element < count && end < path.length; element += 1) end = elementEnd(path, end + 1);
  return end === 0 ? '/' : path.slice(0, end);
}

/** The inverse: how many elements of `path` have the text `beginning`; -1 if it does not begin so. */
export function beginningLength(path: string, beginning: string): number {
  if (beginning === '/') return 0;
  if (!path.startsWith(beginning)) return -1;
  let end = 0;
  let count = 0;
  while (end < beginning.length) {
    end = elementEnd(path, end + 1);
    count += 1;
  }
  return end === beginning.length ? count : -1;
}
