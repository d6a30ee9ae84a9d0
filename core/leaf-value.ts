/**
 * Encoded TypedValues as a kind and two u32, where that says all: numbers and booleans.
 *
 * LV1. `encodeInline` gives the very bytes that were read: what is not encoded as every encoder would (a longer varint,
 *      several fields, fields that are not known) is not inline.
 *
 * Hot: `read` is called once per record, and makes no object.
 */
export const inlineKinds = { none: 0, int: 1, uint: 2, bool: 3, float: 4, double: 5 } as const;
export type InlineKind = (typeof inlineKinds)[keyof typeof inlineKinds];

/** Tag bytes of TypedValue's fields, by kind. */
const tags = [0, 0x10, 0x18, 0x20, 0x35, 0x71] as const;

export class InlineReader {
  /** Of the value that `read` read last: 64 bits, two's complement; of a float the low half. */
  low = 0;
  high = 0;

  read(bytes: Uint8Array): InlineKind {
    switch (bytes[0]) {
      case tags[inlineKinds.int]:
        return this.#varint(bytes) ? inlineKinds.int : inlineKinds.none;
      case tags[inlineKinds.uint]:
        return this.#varint(bytes) ? inlineKinds.uint : inlineKinds.none;
      case tags[inlineKinds.bool]:
        return this.#varint(bytes) && this.high === 0 && this.low < 2 ? inlineKinds.bool : inlineKinds.none;
      case tags[inlineKinds.float]:
        if (bytes.length !== 5) return inlineKinds.none;
        this.low = u32(bytes, 1);
        this.high = 0;
        return inlineKinds.float;
      case tags[inlineKinds.double]:
        if (bytes.length !== 9) return inlineKinds.none;
        this.low = u32(bytes, 1);
        this.high = u32(bytes, 5);
        return inlineKinds.double;
      case undefined:
      default:
        return inlineKinds.none;
    }
  }

  /** True if all that follows the tag is one varint of 64 bits in its shortest form (LV1). */
  #varint(bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (length < 2 || length > 11) return false;
    let low = 0;
    let high = 0;
    for (let at = 1, shift = 0; at < length; at += 1, shift += 7) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x80 !== at < length - 1) return false; // it ends before the bytes do, or does not
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (shift === 63 && bits > 1) return false; // bits that no decoder keeps
    }
    if (length > 2 && bytes[length - 1] === 0) return false; // a shorter form would do
    this.low = low >>> 0;
    this.high = high >>> 0;
    return true;
  }
}

function u32(bytes: Uint8Array, at: number): number {
  const upper = ((bytes[at + 3] ?? 0) << 24) | ((bytes[at + 2] ?? 0) << 16);
  return (upper | ((bytes[at + 1] ?? 0) << 8) | (bytes[at] ?? 0)) >>> 0;
}

/** LV1. Halves may be signed or not. */
export function encodeInline(kind: InlineKind, low: number, high: number): Buffer {
  if (kind === inlineKinds.float || kind === inlineKinds.double) {
    const bytes = Buffer.allocUnsafe(kind === inlineKinds.float ? 5 : 9);
    bytes[0] = tags[kind];
    bytes.writeInt32LE(low | 0, 1);
    if (kind === inlineKinds.double) bytes.writeInt32LE(high | 0, 5);
    return bytes;
  }
  let restLow = low >>> 0;
  let restHigh = high >>> 0;
  const bytes = Buffer.allocUnsafe(1 + varintLength(restLow, restHigh));
  bytes[0] = tags[kind];
  let at = 1;
  for (; restHigh !== 0 || restLow > 0x7f; at += 1) {
    bytes[at] = (restLow & 0x7f) | 0x80;
    restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
    restHigh >>>= 7;
  }
  bytes[at] = restLow;
  return bytes;
}

function varintLength(low: number, high: number): number {
  const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
  return Math.max(1, Math.ceil(bits / 7));
}
