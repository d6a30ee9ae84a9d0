/**
 * Paths of leaves as small integers, so that a path pattern is compared with a path once, not once per leaf.
 *
 * P1. One key `origin:/path` has one id for as long as anything uses it; ids are dense, from 0.
 * P2. An id is in use while it is retained, and until the second sweep after it was last interned. Then it is given out
 *     again, for another path: who keeps ids for longer compares their `generation`, or keeps keys.
 * P3. What is not `origin:/path`, or does not parse, has no id.
 */
import { parseOrigin, parsePath, PathMalformed, type PathElem } from '../schemas/path.ts';
import { RecordMalformed } from '../schemas/position.ts';
import { grownU32, grownU8 } from './growing-column.ts';
import { NumberLists } from './number-lists.ts';
import { type ElementId, elementEnd, PathElements } from './path-elements.ts';

export type PathId = number;
export { PathSelection } from './path-selection.ts';

interface Origin {
  readonly text: string;
  /** Where the path begins in a key. */
  readonly end: number;
}

/** Devices have a handful; the table of them is begun anew beyond this. */
const originsMax = 256;

export class PathTable {
  readonly elements = new PathElements();
  readonly #ids = new Map<string, PathId>();
  /** By id; null: the id is free. */
  readonly #keys: (string | null)[] = [];
  readonly #origins: Origin[] = [];
  #knownOrigins = new Map<string, Origin>();
  readonly #elementLists = new NumberLists();
  #lists = new Uint32Array(256);
  #lengths = new Uint32Array(256);
  #uses = new Uint32Array(256);
  #generations = new Uint8Array(256);
  /** Number of the sweep in which the path was last interned, modulo 256. */
  #interned = new Uint8Array(256);
  /** Ids that nothing retains are listed, once. */
  #isIdle = new Uint8Array(256);
  #idle: PathId[] = [];
  readonly #free: PathId[] = [];
  #sweeps = 0;
  #changes = 0;

  /** Ids below this one have been given out. */
  get size(): number {
    return this.#keys.length;
  }

  /** Grows whenever an id is given out or taken back. */
  get changes(): number {
    return this.#changes;
  }

  get sweeps(): number {
    return this.#sweeps;
  }

  /** The id of a key `origin:/path`, a new one if need be (P1). Throws RecordMalformed (P3). */
  intern(key: string): PathId {
    const id = this.#ids.get(key) ?? this.#add(key);
    this.#interned[id] = this.#sweeps;
    return id;
  }

  /** The id of a key that is known. */
  find(key: string): PathId | undefined {
    return this.#ids.get(key);
  }

  #add(key: string): PathId {
    const origin = this.#originOf(key);
    const elements = this.#elementsOf(key, origin.end);
    const id = this.#free.pop() ?? this.#keys.length;
    if (id >= this.#uses.length) this.#grow(id + 1);
    this.#keys[id] = key;
    this.#origins[id] = origin;
    this.#lists[id] = this.#elementLists.add(elements);
    this.#lengths[id] = elements.length;
    this.#ids.set(key, id);
    this.#changes += 1;
    this.#listIdle(id);
    return id;
  }

  #originOf(key: string): Origin {
    const parsed = parseOrigin(key);
    if (parsed === undefined || parsed.origin === '')
      throw new RecordMalformed(`key ${JSON.stringify(key)} is not origin:/path`);
    const known = this.#knownOrigins.get(parsed.origin);
    if (known?.end === parsed.end) return known;
    if (this.#knownOrigins.size >= originsMax) this.#knownOrigins = new Map();
    const origin = { text: parsed.origin, end: parsed.end };
    this.#knownOrigins.set(parsed.origin, origin);
    return origin;
  }

  #elementsOf(key: string, start: number): ElementId[] {
    const elements: ElementId[] = [];
    try {
      for (let at = start + 1; at < key.length;) {
        const end = elementEnd(key, at);
        elements.push(this.elements.use(key.slice(at, end)));
        at = end + 1;
      }
    } catch (thrown) {
      for (const element of elements) this.elements.release(element);
      if (!(thrown instanceof PathMalformed)) throw thrown;
      throw new RecordMalformed(`key ${JSON.stringify(key)}: ${thrown.message}`, { cause: thrown });
    }
    return elements;
  }

  #grow(length: number): void {
    this.#lists = grownU32(this.#lists, length);
    this.#lengths = grownU32(this.#lengths, length);
    this.#uses = grownU32(this.#uses, length);
    this.#generations = grownU8(this.#generations, length);
    this.#interned = grownU8(this.#interned, length);
    this.#isIdle = grownU8(this.#isIdle, length);
  }

  /** One use more (P2). */
  retain(id: PathId): void {
    this.#uses[id] = (this.#uses[id] ?? 0) + 1;
  }

  release(id: PathId): void {
    const uses = (this.#uses[id] ?? 0) - 1;
    this.#uses[id] = uses;
    if (uses === 0) this.#listIdle(id);
  }

  #listIdle(id: PathId): void {
    if (this.#isIdle[id] === 1) return;
    this.#isIdle[id] = 1;
    this.#idle.push(id);
  }

  /** Takes back the ids that nothing has used since the last sweep but one (P2). */
  sweep(): void {
    this.#sweeps += 1;
    const idle = this.#idle;
    this.#idle = [];
    for (const id of idle) {
      this.#isIdle[id] = 0;
      if ((this.#uses[id] ?? 0) > 0) continue;
      const age = (this.#sweeps - (this.#interned[id] ?? 0)) & 0xff;
      if (age < 2) this.#listIdle(id);
      else this.#remove(id);
    }
  }

  #remove(id: PathId): void {
    const length = this.#lengths[id] ?? 0;
    for (let index = 0; index < length; index += 1) this.elements.release(this.elementAt(id, index));
    this.#elementLists.free(this.#lists[id] ?? 0, length);
    this.#ids.delete(this.key(id));
    this.#keys[id] = null;
    this.#generations[id] = (this.#generations[id] ?? 0) + 1;
    this.#free.push(id);
    this.#changes += 1;
  }

  isKnown(id: PathId): boolean {
    return typeof this.#keys[id] === 'string';
  }

  /** Changes, modulo 256, when the id is taken back: at most once per sweep. */
  generation(id: PathId): number {
    return this.#generations[id] ?? 0;
  }

  key(id: PathId): string {
    const key = this.#keys[id];
    if (typeof key !== 'string') throw new RangeError(`path ${id} is not known`);
    return key;
  }

  origin(id: PathId): string {
    return this.#origin(id).text;
  }

  /** Where the path begins in the key. */
  pathStart(id: PathId): number {
    return this.#origin(id).end;
  }

  path(id: PathId): string {
    return this.key(id).slice(this.#origin(id).end);
  }

  #origin(id: PathId): Origin {
    const origin = this.#origins[id];
    if (origin === undefined || !this.isKnown(id)) throw new RangeError(`path ${id} is not known`);
    return origin;
  }

  elems(id: PathId): readonly PathElem[] {
    this.key(id);
    return Array.from({ length: this.length(id) }, (_, index) => this.elements.elem(this.elementAt(id, index)));
  }

  /** Elements of the path that had this id when its key was `key`, whatever the id means now (P2). */
  elemsOf(id: PathId, key: string): readonly PathElem[] {
    if (this.#keys[id] === key) return this.elems(id);
    return parsePath(key.slice(parseOrigin(key)?.end ?? 0)).elems;
  }

  /** Number of elements. */
  length(id: PathId): number {
    return this.#lengths[id] ?? 0;
  }

  elementAt(id: PathId, index: number): ElementId {
    return this.#elementLists.at(this.#lists[id] ?? 0, index);
  }
}
