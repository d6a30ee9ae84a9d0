/** Typed arrays that grow: a copy twice as large, so that adding stays cheap on average. Entries beyond the old end are 0. */

export function grownU8(column: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(length, column.length * 2));
  grown.set(column);
  return grown;
}

export function grownU32(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(Math.max(length, column.length * 2));
  grown.set(column);
  return grown;
}
