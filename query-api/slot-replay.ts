/**
 * The changes of one slot behind a position, out of the log, up to where this instance's copy is: then the listener goes
 * on. Decides as the copy does what is a change, without knowing what the store held at that time.
 *
 * P1. Records of a position below one that was seen are no news: what a displaced writer wrote late, or its repair.
 *     A position that comes twice is told once per key.
 * P2. What is returned is whole up to `through`: of a position of which more follows nothing is returned. Where the copy
 *     itself has no more of it, its listeners are told all of it (T1 of slot-feed.ts).
 * P3. Nothing is read that the copy has not applied, and `onLive` is called in the turn in which all of that was returned:
 *     between replay and listener nothing is lost and nothing comes twice.
 * P4. After each read, and before its records are used, the log before it must still be young enough not to have been
 *     compacted (X2 of position-index.ts): a value that was compacted away would be missed without a trace.
 * P5. Of a position of which more follows only what is covered is kept, at most `heldMax` changes: a reader of one device
 *     holds nothing of the others.
 */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { comparePositions, type Position, RecordMalformed } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { leafChange, type NameSource } from './leaf-change.ts';
import { type IndexEntry } from './position-index.ts';
import { type Covers, type LeafChange, type Replay, type ReplayBatch } from './state-feed.ts';
import { decodeStateRecord, type StateRecord } from './state-record.ts';

/** A stretch of a slot's log: whole batches, at least one, from an offset on that lies before the log's end. */
export interface ReplayLog {
  read(
    slot: Slot,
    from: bigint,
    signal: AbortSignal,
  ): Promise<{ readonly records: readonly LogRecord[]; readonly nextOffset: bigint }>;
}

export interface SlotReplayOptions {
  readonly after: Position;
  readonly from: IndexEntry;
  readonly log: ReplayLog;
  readonly names: NameSource;
  readonly covers: Covers;
  /** Where the copy stands in the log; null: it was reset since, what it is now has nothing to do with this replay. */
  readonly copiedTo: () => bigint | null;
  /** How old a log time may be. */
  readonly reachMs: () => number;
  readonly clock: Clock;
  readonly heldMax?: number;
}

export class SlotReplay implements Replay {
  readonly #options: SlotReplayOptions;
  readonly #slot: Slot;
  readonly #heldMax: number;
  #nextOffset: bigint;
  #logTimeMs: number;
  #highest: Position;
  /** More of the highest position follows. */
  #isCut = false;
  /** Of the position before the highest, or of `after`. */
  #through: Position;
  /** What is there of the highest position so far, and the keys. */
  #part: LeafChange[] = [];
  readonly #keys = new Set<string>();

  constructor(options: SlotReplayOptions) {
    this.#options = options;
    this.#slot = options.after.slot;
    this.#heldMax = options.heldMax ?? 500_000;
    this.#nextOffset = options.from.nextOffset;
    this.#logTimeMs = options.from.logTimeMs;
    this.#highest = options.after;
    this.#through = options.after;
  }

  async next(signal: AbortSignal, onLive: () => void): Promise<ReplayBatch | null> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#nextOffset >= this.#copiedTo()) {
        onLive(); // P3
        return null;
      }
      const read = await this.#options.log.read(this.#slot, this.#nextOffset, signal);
      const end = this.#copiedTo();
      this.#checkAge();
      const batch = this.#take(read.records, end);
      this.#nextOffset = read.nextOffset < end ? read.nextOffset : end;
      if (batch !== null) return batch;
    }
  }

  #copiedTo(): bigint {
    const copiedTo = this.#options.copiedTo();
    if (copiedTo !== null) return copiedTo;
    throw new HoldfastError('NOT_CAUGHT_UP', `slot ${this.#slot} is read anew; try again in a second`);
  }

  /** P4. */
  #checkAge(): void {
    const { clock, reachMs } = this.#options;
    if (this.#logTimeMs > clock.nowMs() - reachMs()) return;
    const message = `the resume window of slot ${this.#slot} went on faster than it was read; begin anew`;
    throw new HoldfastError('NOT_CAUGHT_UP', message);
  }

  #take(records: readonly LogRecord[], end: bigint): ReplayBatch | null {
    const whole: LeafChange[] = [];
    const before = this.#through;
    for (const record of records) {
      if (record.offset >= end) break; // P3
      this.#logTimeMs = Math.max(this.#logTimeMs, record.timestampMs);
      const state = decodeOrNull(record);
      if (state !== null && state.kind !== 'nothing') this.#takeRecord(state, whole);
    }
    if (!this.#isCut) this.#wholeHighest(whole);
    if (this.#part.length > this.#heldMax) {
      throw new HoldfastError('NOT_CAUGHT_UP', `a position of slot ${this.#slot} is too large to be replayed`);
    }
    const through = this.#through;
    return through === before ? null : { changes: whole, through };
  }

  #takeRecord(state: Exclude<StateRecord, { kind: 'nothing' }>, whole: LeafChange[]): void {
    const { epoch, seq, more = false } = state.header;
    const position = { slot: this.#slot, epoch, seq };
    const order = comparePositions(position, this.#highest);
    if (order < 0 || (order === 0 && this.#through === this.#highest)) return; // P1
    if (order > 0) {
      this.#wholeHighest(whole);
      this.#highest = position;
      this.#isCut = more;
    } else if (state.kind === 'leaf') this.#isCut &&= more;
    if (state.kind !== 'leaf') return;
    const key = `${state.device}|${state.key}`;
    if (this.#keys.has(key)) return; // P1
    const change = changeOrNull(this.#options.names, this.#slot, state);
    if (change === null || !this.#options.covers(change)) return; // P5
    this.#keys.add(key);
    this.#part.push(change);
  }

  /** No more of the highest position comes (P2). */
  #wholeHighest(whole: LeafChange[]): void {
    for (const change of this.#part) whole.push(change);
    this.#part = [];
    this.#keys.clear();
    this.#through = this.#highest;
  }
}

/** What the copy has left out, and counted. */
function decodeOrNull(record: LogRecord): StateRecord | null {
  try {
    return decodeStateRecord(record);
  } catch {
    return null;
  }
}

function changeOrNull(names: NameSource, slot: Slot, state: Extract<StateRecord, { kind: 'leaf' }>): LeafChange | null {
  try {
    return leafChange(names, slot, state);
  } catch (thrown) {
    if (thrown instanceof RecordMalformed) return null;
    throw thrown;
  }
}
