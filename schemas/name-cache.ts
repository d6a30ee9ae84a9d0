/**
 * Names as strings, made once: devices repeat the same element names, keys and origins in every message.
 *
 * Only short ASCII is kept, in a table of fixed size where a newcomer takes the place of whoever had it: the bytes are
 * compared on every hit, so the table can be stale but never wrong, and hostile input cannot make it grow.
 */
const lengthMax = 48;
const slots = 4096;
const names: string[] = new Array<string>(slots).fill('');

/** The text of `bytes[start, end)` if it is short ASCII, else undefined. */
export function cachedName(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  if (length > lengthMax) return undefined;
  let hash = length;
  let seen = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    seen |= byte;
    hash = Math.imul(hash, 31) + byte;
  }
  if (seen >= 0x80) return undefined;
  const slot = (hash ^ (hash >>> 15)) & (slots - 1);
  const name = names[slot] ?? '';
  if (isName(name, bytes, start, length)) return name;
  return (names[slot] = bytes.toString('latin1', start, end));
}

function isName(name: string, bytes: Buffer, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let index = 0; index < length; index++) if (name.charCodeAt(index) !== bytes[start + index]) return false;
  return true;
}
