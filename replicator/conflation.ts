import { type WriterRecord } from '../core/kafka/slot-host.ts';
import { type RecordPoint } from './apply.ts';
import { type LeafEntry } from './device-leaves.ts';

/**
 * Changes of several telemetry records, collected while the slot is behind, so that a sampled leaf which a later record
 * changes again is written once. Pure; the state afterwards is the state without it.
 *
 * C1. What is left is in telemetry order, every change under the position of its own cause.
 * C2. Left out is a value of a SAMPLE leaf that a later change in the window replaces, and nothing else: no on-change value,
 *     no tombstone, no leaf of an atomic message.
 * C3. A window is sealed as a whole, to be appended as one batch. Half of one would lack values whose replacement is not
 *     there, and what a successor applies on top of that (R3 of slot-reducer.ts) might decide otherwise than we did.
 * C4. Bounded by the records' receive times, by changes and by bytes; each of them ends it.
 * C5. A value that may still be replaced is encoded at sealing: what is left out costs no encoding.
 * C6. A record that the window does not take has changed its entries already. So a value that waits is lent by its entry:
 *     the next one of the leaf gets bytes of its own.
 */
export interface Cause {
  readonly device: string;
  /** Header of the records that it causes. */
  readonly header: Buffer;
  readonly timestampMs: number;
}

/** What a record says of a leaf. */
export type LeafChange = Pick<
  LeafEntry,
  'key' | 'origin' | 'path' | 'value' | 'timestampNs' | 'atomicRoot' | 'sampled'
>;

export interface ConflationOptions {
  /** 0: collects nothing. */
  readonly windowNs: bigint;
  readonly changesMax: number;
  readonly bytesMax: number;
  readonly encode: (cause: Cause, change: LeafChange) => WriterRecord;
}

/** To be encoded at sealing (C5). */
interface Held extends LeafChange {
  readonly cause: Cause;
}

/** Header, varints and tags of a record and of the leaf in it, generously. */
const overheadBytes = 128;

export class ConflationWindow {
  readonly #options: ConflationOptions;
  /** In order (C1); null: replaced since. */
  #changes: (WriterRecord | Held | null)[] = [];
  /** Where the held ones stand. */
  readonly #held = new Map<LeafEntry, number>();
  #openedAtNs = 0n;
  #bytes = 0;

  constructor(options: ConflationOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  /** Whether the changes may join; if not, the window is to be sealed first, and those that alone are too many never may. */
  takes(point: RecordPoint, changed: readonly LeafEntry[]): boolean {
    const { windowNs, changesMax, bytesMax } = this.#options;
    if (windowNs === 0n || this.#changes.length + changed.length > changesMax) return false; // C4
    if (this.#bytes + bytesOf(changed) > bytesMax) return false;
    return this.isEmpty || point.receivedAtNs - this.#openedAtNs < windowNs;
  }

  /** Adds what one telemetry record changed; returns how many earlier values are left out for it. */
  add(point: RecordPoint, changed: readonly LeafEntry[], cause: Cause): number {
    if (this.isEmpty) this.#openedAtNs = point.receivedAtNs;
    this.#bytes += bytesOf(changed);
    let coalesced = 0;
    for (const entry of changed) {
      const at = this.#held.get(entry);
      if (at !== undefined) {
        this.#changes[at] = null;
        coalesced += 1;
      }
      if (isReplaceable(entry)) {
        this.#held.set(entry, this.#changes.length);
        this.#changes.push(hold(cause, entry));
      } else {
        if (at !== undefined) this.#held.delete(entry);
        this.#changes.push(this.#options.encode(cause, entry));
      }
    }
    return coalesced;
  }

  /** Hands out what is left (C3) and begins anew. */
  seal(): WriterRecord[] {
    const records: WriterRecord[] = [];
    for (const change of this.#changes) {
      if (change !== null) records.push('cause' in change ? this.#options.encode(change.cause, change) : change);
    }
    this.#changes = [];
    for (const entry of this.#held.keys()) entry.isLent = false;
    this.#held.clear();
    this.#bytes = 0;
    return records;
  }
}

/** C6. */
function hold(cause: Cause, entry: LeafEntry): Held {
  entry.isLent = true;
  const { key, origin, path, value, timestampNs, atomicRoot, sampled } = entry;
  return { cause, key, origin, path, value, timestampNs, atomicRoot, sampled };
}

/** C2. */
function isReplaceable(entry: LeafEntry): boolean {
  return entry.sampled && entry.value !== null && entry.atomicRoot === '';
}

/** No less than what they take in a batch: device, origin and path stand in the key and in the leaf. */
function bytesOf(changed: readonly LeafEntry[]): number {
  let bytes = 0;
  for (const { key, value, atomicRoot } of changed) {
    bytes += 2 * key.length + (value?.length ?? 0) + 3 * atomicRoot.length + overheadBytes;
  }
  return bytes;
}
