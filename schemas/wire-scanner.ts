/**
 * What ingest must know of a device's message, read from its bytes in place: kind, counts, time.
 *
 * Hot path: no object, string or closure per update or message. The obvious
 * implementation is `decodeDeviceMessage`, and tests run both on the same bytes.
 *
 * Z1. Nothing outside [start, end) is read, and every step moves on: hostile bytes end as `malformed`, never as an
 *     exception or a loop.
 * Z2. What `decodeDeviceMessage` reads, the scanner counts alike; what the scanner calls malformed, it refuses. The scanner
 *     looks down to the fields of an update, not into its path and value.
 */
export type ScannedKind = 'update' | 'sync' | 'error' | 'empty' | 'malformed';

const groupDepthMax = 64;

export class WireScanner {
  /** Updates of the message, usable or not. */
  updates = 0;
  deletes = 0;
  /** The value of a `sync` message; `false` is not a sync (S12). */
  synced = false;
  atomic = false;
  /** The timestamp's two halves, both unsigned: high * 2^32 + low as two's complement int64. */
  timestampHigh = 0;
  timestampLow = 0;

  private bytes: Uint8Array = new Uint8Array(0);
  /** Next byte to read; -1 once something was malformed. */
  private at = 0;
  private low = 0;
  private high = 0;

  /** Scans `bytes[start, end)`, one gnmi.SubscribeResponse; the results are in the fields until the next call. */
  scan(bytes: Uint8Array, start: number, end: number): ScannedKind {
    this.bytes = bytes;
    this.at = start;
    this.reset();
    let kind: ScannedKind = 'empty';
    if (start < 0 || end > bytes.length || start > end) return 'malformed';
    while (this.at >= 0 && this.at < end) {
      const tag = this.tag(end);
      if (tag === 0x0a) {
        if (kind !== 'update') this.reset(); // another member of the oneof came between
        kind = 'update';
        this.notification(this.length(end));
      } else if (tag === 0x18) {
        this.reset();
        kind = 'sync';
        this.varint(end);
        this.synced = this.low !== 0 || this.high !== 0;
      } else if (tag === 0x22) {
        this.reset();
        kind = 'error';
        this.message(this.length(end));
      } else this.skip(tag, end);
    }
    return this.at < 0 ? 'malformed' : kind;
  }

  private reset(): void {
    this.updates = 0;
    this.deletes = 0;
    this.synced = false;
    this.atomic = false;
    this.timestampHigh = 0;
    this.timestampLow = 0;
  }

  private notification(end: number): void {
    while (this.at >= 0 && this.at < end) {
      const tag = this.tag(end);
      if (tag === 0x22) {
        this.updates++;
        this.message(this.length(end));
      } else if (tag === 0x2a) {
        this.deletes++;
        this.message(this.length(end));
      } else if (tag === 0x08) {
        this.varint(end);
        this.timestampHigh = this.high;
        this.timestampLow = this.low;
      } else if (tag === 0x30) {
        this.varint(end);
        this.atomic = this.low !== 0 || this.high !== 0;
      } else if (tag === 0x12) this.message(this.length(end));
      else this.skip(tag, end);
    }
  }

  /** The fields of a message none of which is wanted: they must fit. */
  private message(end: number): void {
    while (this.at >= 0 && this.at < end) this.skip(this.tag(end), end);
  }

  /** A tag, or 0 with `at` = -1. Field number 0 is malformed. */
  private tag(end: number): number {
    const first = this.bytes[this.at] ?? 0;
    if (first < 0x80 && first > 7) {
      this.at++;
      return first;
    }
    this.varint(end);
    if (this.low >>> 3 === 0) this.at = -1;
    return this.at < 0 ? 0 : this.low;
  }

  /** A length and the end it leads to; `at` = -1 and 0 if that lies beyond `end`. */
  private length(end: number): number {
    const first = this.bytes[this.at] ?? 0;
    let length = first;
    if (first < 0x80 && this.at < end) this.at++;
    else {
      this.varint(end);
      length = this.low;
    }
    if (this.at < 0 || length > end - this.at) {
      this.at = -1;
      return 0;
    }
    return this.at + length;
  }

  private skip(tag: number, end: number): void {
    if (this.at < 0) return;
    const wire = tag & 7;
    if (wire === 2) {
      const next = this.length(end);
      if (this.at >= 0) this.at = next;
    } else if (wire === 0) this.varint(end);
    else if (wire === 1) this.fixed(8, end);
    else if (wire === 5) this.fixed(4, end);
    else if (wire === 3) this.group(tag >>> 3, end, 1);
    else this.at = -1;
  }

  private fixed(length: number, end: number): void {
    this.at = length > end - this.at ? -1 : this.at + length;
  }

  /** Skips a group up to its own end tag. */
  private group(field: number, end: number, depth: number): void {
    if (depth > groupDepthMax) this.at = -1;
    while (this.at >= 0 && this.at < end) {
      const tag = this.tag(end);
      if (this.at < 0) return;
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) this.at = -1;
        return;
      }
      if ((tag & 7) === 3) this.group(tag >>> 3, end, depth + 1);
      else this.skip(tag, end);
    }
    this.at = -1; // the end tag is missing
  }

  /** A varint of at most 10 bytes into `low` and `high`, or `at` = -1. */
  private varint(end: number): void {
    let low = 0;
    let high = 0;
    let shift = 0;
    for (let at = this.at; at < end && shift < 70; at++, shift += 7) {
      const byte = this.bytes[at] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        this.at = at + 1;
        return;
      }
    }
    this.at = -1;
  }
}
