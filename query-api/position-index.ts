/**
 * Where in a slot's log each position ends: sparse, built from what is read, for whoever reads on from a position. Pure.
 *
 *   entry: everything up to `position` lies before `nextOffset`; `logTimeMs` is the latest record timestamp before it
 *
 * X1. An entry is made at the end of a batch whose positions are all whole, so reading on at the entry at or below a
 *     position misses nothing behind it.
 * X2. Compaction cleans a log from its beginning and stops at the first segment with a record younger than the topic's
 *     min.compaction.lag.ms. `logTimeMs` is that of a record before the entry: while it is young enough, every record behind
 *     the entry is there.
 * X3. At most `entriesMax` entries. Those too old to be used go first, but for the youngest of them; then those that are
 *     closer to the one before than evenly spread ones would be: a reader has some more records to skip.
 */
import { RecordMalformed } from '../schemas/position.ts';

export interface IndexEntry {
  readonly epoch: bigint;
  readonly seq: bigint;
  /** First Kafka offset that was not read at that moment. */
  readonly nextOffset: bigint;
  /** Unix ms. */
  readonly logTimeMs: number;
}

interface At {
  readonly epoch: bigint;
  readonly seq: bigint;
}

export interface PositionIndexOptions {
  readonly entriesMax: number;
  /** Entries whose log time is further back are of no use. */
  readonly windowMs: number;
}

const formatVersion = 1;
const entryBytes = 32;
/** Ends of epochs: owners change seldom, and old ones are older than any window. */
const epochsMax = 1_024;

export class PositionIndex {
  readonly #options: PositionIndexOptions;
  #entries: IndexEntry[] = [];
  /** The highest seq that was seen of each epoch, oldest first. */
  readonly #ends = new Map<bigint, bigint>();

  constructor(options: PositionIndexOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The youngest entry. */
  get last(): IndexEntry | null {
    return this.#entries.at(-1) ?? null;
  }

  /** At the end of a batch; positions, offsets and log times never fall. `nowMs`: our wall clock. */
  add(entry: IndexEntry, nowMs: number): void {
    const entries = this.#entries;
    const last = entries.at(-1);
    if (last !== undefined && last.epoch === entry.epoch && last.seq === entry.seq) entries.pop(); // only the log went on
    entries.push(entry);
    this.#noteEnd(entry);
    if (entries.length > this.#options.entriesMax) this.#thin(nowMs);
  }

  /** The entry to read on from behind `after` (X1); null: it lies before everything that we know. */
  find(after: At): IndexEntry | null {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry === undefined || compare(entry, after) > 0) high = middle;
      else low = middle + 1;
    }
    return this.#entries[low - 1] ?? null;
  }

  /** The log went on to a higher epoch, inside of a batch too. */
  ended(epoch: At): void {
    this.#noteEnd(epoch);
  }

  /** False: the log went on to a higher epoch without ever having had the position. Before the first entry: true. */
  mayHaveHad(at: At): boolean {
    const [first] = this.#entries;
    const last = this.last;
    if (first === undefined || last === null || at.epoch >= last.epoch || compare(at, first) < 0) return true;
    return at.seq <= (this.#ends.get(at.epoch) ?? -1n);
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(9 + this.#entries.length * entryBytes + this.#ends.size * 16);
    bytes.writeUInt8(formatVersion, 0);
    bytes.writeUInt32BE(this.#entries.length, 1);
    bytes.writeUInt32BE(this.#ends.size, 5);
    let at = 9;
    for (const { epoch, seq, nextOffset, logTimeMs } of this.#entries) {
      bytes.writeBigUInt64BE(epoch, at);
      bytes.writeBigUInt64BE(seq, at + 8);
      bytes.writeBigInt64BE(nextOffset, at + 16);
      bytes.writeDoubleBE(logTimeMs, at + 24);
      at += entryBytes;
    }
    for (const [epoch, seq] of this.#ends) {
      bytes.writeBigUInt64BE(epoch, at);
      bytes.writeBigUInt64BE(seq, at + 8);
      at += 16;
    }
    return bytes;
  }

  /** The inverse of `encode`; throws RecordMalformed. */
  static decode(bytes: Buffer, options: PositionIndexOptions): PositionIndex {
    const entries = bytes.length < 9 ? -1 : bytes.readUInt32BE(1);
    const ends = bytes.length < 9 ? -1 : bytes.readUInt32BE(5);
    if (bytes[0] !== formatVersion || bytes.length !== 9 + entries * entryBytes + ends * 16) {
      throw new RecordMalformed(`${bytes.length} bytes are no position index of version ${formatVersion}`);
    }
    const index = new PositionIndex(options);
    let at = 9;
    for (let n = 0; n < entries; n += 1, at += entryBytes) {
      index.#entries.push({
        epoch: bytes.readBigUInt64BE(at),
        seq: bytes.readBigUInt64BE(at + 8),
        nextOffset: bytes.readBigInt64BE(at + 16),
        logTimeMs: bytes.readDoubleBE(at + 24),
      });
    }
    for (let n = 0; n < ends; n += 1, at += 16) {
      index.#ends.set(bytes.readBigUInt64BE(at), bytes.readBigUInt64BE(at + 8));
    }
    return index;
  }

  #noteEnd({ epoch, seq }: At): void {
    this.#ends.set(epoch, seq);
    const oldest = this.#ends.keys().next();
    if (this.#ends.size > epochsMax && oldest.done === false) this.#ends.delete(oldest.value);
  }

  /** X3. */
  #thin(nowMs: number): void {
    const { entriesMax, windowMs } = this.#options;
    const usable = this.#entries.findIndex(({ logTimeMs }) => logTimeMs > nowMs - windowMs);
    const kept = this.#entries.slice(Math.max(usable === -1 ? this.#entries.length - 1 : usable - 1, 0));
    if (kept.length <= entriesMax / 2) {
      this.#entries = kept;
      return;
    }
    const spacingMs = (2 * windowMs) / entriesMax; // half of the bound is left free: this is not done for every batch
    let lastMs = Number.NEGATIVE_INFINITY;
    this.#entries = kept.filter(({ logTimeMs }, n) => {
      if (logTimeMs - lastMs < spacingMs && n < kept.length - 1) return false;
      lastMs = logTimeMs;
      return true;
    });
  }
}

function compare(a: At, b: At): number {
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  return a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}
