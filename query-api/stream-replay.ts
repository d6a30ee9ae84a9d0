/**
 * Slots of one stream that are read from the log again, one at a time, no faster than there is room for: after a
 * reconnect, and when the subscriber was too slow to be told of every change.
 *
 * SR1. While a slot is behind, its live changes are not for the stream: the log has them. From the turn in which
 *      everything that the store has was read, they are, and nothing lies between.
 * SR2. Asking the log blocks nobody: the stream goes on writing what it has.
 * SR3. What the log no longer has while it is read, or has more of than can be replayed, is a gap: a client that was cut
 *      off instead would come back with the same cursor, to the same end.
 */
import { isAbort } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type StreamGap } from './sse-text.ts';
import { type Covers, type LeafChange, type Replay, type ReplayBatch, type StateFeed } from './state-feed.ts';

export interface StreamReplayOptions {
  readonly feed: StateFeed;
  readonly signal: AbortSignal;
  /** Takes changes from `at` on, returns where it stopped: at their number, or where it has no room. */
  readonly take: (changes: readonly LeafChange[], at: number, through: Position) => number;
  readonly covers: Covers;
  /** Of another moment: by device and path, whatever the walk brings. */
  readonly concerns: Covers;
  /** A step may be worth another try. */
  readonly wake: () => void;
  readonly onReplay: () => void;
}

export type ReplayStep =
  /** Something went on; more may at once. */
  | { readonly kind: 'moved' }
  /** Nothing is behind, or the log or room is waited for. */
  | { readonly kind: 'waits' }
  | { readonly kind: 'gap'; readonly reason: StreamGap }
  /** The log could not be read to the end. */
  | { readonly kind: 'failed'; readonly error: Error };

interface Running {
  readonly slot: Slot;
  readonly replay: Replay;
  isAsking: boolean;
  batch: { readonly changes: readonly LeafChange[]; readonly through: Position; at: number } | null;
}

export class StreamReplay {
  readonly #options: StreamReplayOptions;
  readonly #behind = new Map<Slot, Position>();
  #running: Running | null = null;
  #failure: Error | null = null;
  #isExpired = false;

  constructor(options: StreamReplayOptions) {
    this.#options = options;
  }

  /** The slot is to be read from behind `after`. */
  add(after: Position): void {
    this.#behind.set(after.slot, after);
  }

  /** False: its live changes are for the stream (SR1). */
  isBehind(slot: Slot): boolean {
    return this.#behind.has(slot) || this.#running?.slot === slot;
  }

  get isOver(): boolean {
    return this.#behind.size === 0 && this.#running === null;
  }

  clear(): void {
    this.#behind.clear();
    this.#running = null;
    this.#isExpired = false;
  }

  /** Does what can be done at once. */
  step(): ReplayStep {
    if (this.#failure !== null) return { kind: 'failed', error: this.#failure };
    if (this.#isExpired) return { kind: 'gap', reason: 'cursor-expired' };
    const running = this.#running;
    if (running === null) return this.#begin();
    if (running.batch !== null) {
      const { batch } = running;
      const before = batch.at;
      batch.at = this.#options.take(batch.changes, before, batch.through);
      if (batch.at < batch.changes.length) return { kind: batch.at > before ? 'moved' : 'waits' };
      running.batch = null;
    }
    if (running.isAsking) return { kind: 'waits' };
    this.#ask(running);
    return { kind: 'waits' };
  }

  #begin(): ReplayStep {
    for (const [slot, after] of this.#behind) {
      const start = this.#options.feed.replay(after, this.#options.concerns);
      if (start.kind === 'expired') return { kind: 'gap', reason: 'cursor-expired' };
      if (start.kind !== 'replay') return { kind: 'gap', reason: 'cursor-unknown' };
      this.#options.onReplay();
      this.#behind.delete(slot);
      this.#running = { slot, replay: start.replay, isAsking: false, batch: null };
      return { kind: 'moved' };
    }
    return { kind: 'waits' };
  }

  /** SR2. */
  #ask(running: Running): void {
    const { signal, wake } = this.#options;
    running.isAsking = true;
    const onLive = (): void => {
      if (this.#running === running) this.#running = null; // SR1
    };
    running.replay.next(signal, onLive).then(
      (batch) => {
        running.isAsking = false;
        if (this.#running === running && batch !== null) running.batch = this.#wanted(batch);
        wake();
      },
      (thrown: unknown) => {
        if (isAbort(thrown, signal) || this.#running !== running) return;
        if (thrown instanceof HoldfastError && thrown.code === 'NOT_CAUGHT_UP')
          this.#isExpired = true; // SR3
        else this.#failure = thrown as Error;
        wake();
      },
    );
  }

  #wanted({ changes, through }: ReplayBatch): Running['batch'] {
    return { changes: changes.filter((change) => this.#options.covers(change)), through, at: 0 };
  }
}
