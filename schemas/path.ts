/**
 * gNMI paths as structure and as text (gNMI path string form, completed so that printing is injective).
 *
 * Text is for people, keys of `state`, URLs; inside a process a path is structured.
 *
 * P-a. Different paths print differently, one path prints one way, and `parsePath(formatPath(p))` is `p`. The one path
 *      without a text is one with an empty key name: `[=v]` is an error by the grammar, so readers of device messages
 *      refuse it.
 * P-b. What does not parse is an error with its position, never a guess: reading `/a[` as the root would subscribe to
 *      everything.
 * P-c. Key names come from outside, so keys are a Map: `__proto__` is a name like any other (N18).
 */
import { shownText } from './shown-text.ts';

export interface PathElem {
  readonly name: string;
  readonly keys: ReadonlyMap<string, string>;
}

export interface Path {
  /** Empty: not said, which means `openconfig` (see `normaliseOrigin`). */
  readonly origin: string;
  /** The device, in a prefix; empty elsewhere. It has no place in the text. */
  readonly target: string;
  /** Empty: the root. */
  readonly elems: readonly PathElem[];
}

export class PathMalformed extends Error {
  /** Offset in the text, in UTF-16 units, from 0. */
  readonly position: number;

  constructor(text: string, position: number, problem: string) {
    super(`path ${shownText(text)} is malformed at position ${position}: ${problem}`);
    this.name = 'PathMalformed';
    this.position = position;
  }
}

/** What no origin means (N6); stored and compared in this form. */
export const defaultOrigin = 'openconfig';

export function normaliseOrigin(origin: string): string {
  return origin === '' ? defaultOrigin : origin;
}

export const rootPath: Path = { origin: '', target: '', elems: [] };

const noKeys: ReadonlyMap<string, string> = new Map();

/** Throws PathMalformed, also beyond `elementsMax`: a megabyte of slashes is not read to its end. */
export function parsePath(text: string, elementsMax = Infinity): Path {
  const origin = parseOrigin(text);
  if (origin?.origin === '') throw new PathMalformed(text, 0, 'the origin before ":" is empty');
  const start = origin?.end ?? 0;
  return { origin: origin?.origin ?? '', target: '', elems: new PathReader(text, start).elems(elementsMax) };
}

/** With `origin:` if the path says one. */
export function formatPath(path: Path): string {
  return path.origin === '' ? formatElems(path.elems) : `${escapeOrigin(path.origin)}:${formatElems(path.elems)}`;
}

/** `/a/b[k=v]`; the root is `/`. */
export function formatElems(elems: readonly PathElem[]): string {
  let text = '';
  for (const elem of elems) text += `/${formatElem(elem)}`;
  const last = elems.at(-1);
  // A trailing slash is ignored by readers, so an empty last element needs one more (and the root its only one).
  return last === undefined || (last.name === '' && last.keys.size === 0) ? `${text}/` : text;
}

function formatElem(elem: PathElem): string {
  let text = escape(elem.name, nameSpecials);
  if (elem.keys.size === 0) return text;
  const keys = [...elem.keys];
  if (keys.length > 1) keys.sort(([a], [b]) => compareCodePoints(a, b));
  for (const [name, value] of keys) text += `[${escape(name, keyNameSpecials)}=${escape(value, valueSpecials)}]`;
  return text;
}

const nameSpecials = /[\\/[\]\n\r]/g;
const keyNameSpecials = /[\\=\]\n\r]/g;
const valueSpecials = /[\\\]\n\r]/g;
// `[` is escaped as well: unescaped it starts the keys of a first element, as in `interface[name=a:/b]`.
const originSpecials = /[\\:/[\n\r]/g;

function escape(text: string, specials: RegExp): string {
  return text.replace(specials, (char) => (char === '\n' ? '\\n' : char === '\r' ? '\\r' : `\\${char}`));
}

export function escapeOrigin(origin: string): string {
  return escape(origin, originSpecials);
}

/** By code point. JS compares UTF-16 units, which puts U+10000 before U+E000. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/**
 * The origin a text begins with and where its path starts, or undefined if it says none. An origin ends at the first
 * unescaped `:` if a `/` follows it; a `:` with anything else after it belongs to a module prefix (P5).
 */
export function parseOrigin(text: string): { readonly origin: string; readonly end: number } | undefined {
  let at = 0;
  for (; at < text.length; at++) {
    const char = text[at];
    if (char === '/' || char === '[') return undefined;
    if (char === ':') break;
    if (char === '\\') at++;
  }
  if (text[at + 1] !== '/') return undefined;
  return { origin: new PathReader(text, 0).until(':'), end: at + 1 };
}

/** One pass over the text of a path, left to right. */
class PathReader {
  private readonly text: string;
  private at: number;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
  }

  elems(elementsMax: number): PathElem[] {
    if (this.text[this.at] === '/') this.at++;
    const elems: PathElem[] = [];
    // What is left is empty at the root and after a trailing slash: both end the path.
    while (this.at < this.text.length) {
      if (elems.length >= elementsMax) this.fail(this.at, `more than the ${elementsMax} elements allowed`);
      elems.push(this.elem());
      if (this.text[this.at] === '/') this.at++;
    }
    return elems;
  }

  /** Unescaped text up to, not including, the first unescaped character of `ends` or the end of the text. */
  until(ends: string, forbidden = ''): string {
    let result = '';
    for (let char = this.text[this.at]; char !== undefined && !ends.includes(char); char = this.text[this.at]) {
      if (forbidden.includes(char)) this.fail(this.at, `unescaped "${char}"`);
      if (char === '\\') result += this.escaped();
      else {
        result += char;
        this.at++;
      }
    }
    return result;
  }

  private elem(): PathElem {
    const name = this.until('/[', ']');
    if (this.text[this.at] !== '[') return { name, keys: noKeys };
    const keys = new Map<string, string>();
    while (this.text[this.at] === '[') this.key(keys);
    const next = this.text[this.at];
    if (next !== undefined && next !== '/') this.fail(this.at, 'expected "[", "/" or the end after "]"');
    return { name, keys };
  }

  private key(keys: Map<string, string>): void {
    const open = this.at++;
    const name = this.until('=', ']');
    if (this.text[this.at] !== '=') this.fail(open, '"[" without "="');
    if (name === '') this.fail(this.at, 'empty key name');
    this.at++;
    const value = this.until(']');
    if (this.text[this.at] !== ']') this.fail(open, '"[" without "]"');
    this.at++;
    keys.set(name, value); // the last of equal names wins
  }

  private escaped(): string {
    const start = this.at;
    const char = this.text[start + 1];
    if (char === undefined) this.fail(start, 'a backslash at the end');
    this.at += 2;
    if (char === 'n') return '\n';
    if (char === 'r') return '\r';
    if (char === 'u') return this.codePoint(start, 4);
    if (char === 'U') return this.codePoint(start, 8);
    if (/^[!-/:-@[-`{-~]$/.test(char)) return char;
    return this.fail(start, `"\\${char}" is not an escape`);
  }

  private codePoint(start: number, digits: number): string {
    const value = this.hex(start, digits);
    // A pair of \u escapes is one character, as JSON writes it.
    const isHigh = value >= 0xd800 && value < 0xdc00;
    if (isHigh && digits === 4 && this.text.startsWith('\\u', this.at)) {
      this.at += 2;
      const low = this.hex(start, 4);
      if (low >= 0xdc00 && low < 0xe000) return String.fromCharCode(value, low);
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) this.fail(start, 'the escape is not a character');
    return String.fromCodePoint(value);
  }

  private hex(start: number, digits: number): number {
    const text = this.text.slice(this.at, this.at + digits);
    if (text.length !== digits || !/^[0-9A-Fa-f]+$/.test(text)) this.fail(start, `expected ${digits} hex digits`);
    this.at += digits;
    return Number.parseInt(text, 16);
  }

  private fail(position: number, problem: string): never {
    throw new PathMalformed(this.text, position, problem);
  }
}
