/**
 * Splits a JSON document into leaves without re-printing it: every leaf is the verbatim slice of the text, so that
 * numbers beyond 2^53 and decimals keep their digits (V10). Objects are opened, everything else is a leaf: without a
 * schema nobody can say which members of a list entry are its keys, so arrays stay whole.
 */
export interface JsonLeaf {
  /** Member names from the document's root to the leaf, unescaped. */
  readonly names: readonly string[];
  readonly text: string;
}

/** Deeper objects stay whole: a bound, far above what data models nest. */
const depthMax = 64;

/** The leaves of a whole, well-formed JSON text in document order; an empty object is a leaf. */
export function jsonLeaves(text: string): JsonLeaf[] {
  const leaves: JsonLeaf[] = [];
  collect(text, skipBlanks(text, 0), [], leaves);
  return leaves;
}

/** Appends the leaves of the value at `start`; returns the position behind it. */
function collect(text: string, start: number, names: readonly string[], leaves: JsonLeaf[]): number {
  let at = text[start] === '{' ? skipBlanks(text, start + 1) : -1;
  if (at < 0 || text[at] === '}' || names.length >= depthMax) {
    const end = valueEnd(text, start);
    leaves.push({ names, text: text.slice(start, end) });
    return end;
  }
  for (;;) {
    const nameEnd = stringEnd(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const valueStart = skipBlanks(text, skipBlanks(text, nameEnd) + 1); // over the colon
    at = skipBlanks(text, collect(text, valueStart, [...names, name], leaves));
    if (text[at] === '}') return at + 1;
    at = skipBlanks(text, at + 1); // over the comma
  }
}

function valueEnd(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return stringEnd(text, start);
  if (first !== '{' && first !== '[') {
    let at = start;
    while (at < text.length && !',]} \t\r\n'.includes(text[at] as string)) at += 1;
    return at;
  }
  let depth = 0;
  for (let at = start; ; at += 1) {
    const char = text[at];
    if (char === '"') at = stringEnd(text, at) - 1;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at += 1;
  return at;
}
