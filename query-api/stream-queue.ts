/**
 * What one subscriber has still to be sent: an open generation, into which changes go, and a sealed one, which is written.
 *
 *   put ──▶ open: SAMPLE values merge ──seal──▶ sealed: as it is ──▶ takePosition, one position after another
 *
 * SQ1. Within a slot entries stand in the order of their positions, and `takePosition` returns all that a position has:
 *      whoever stops between two of them stops at a cursor.
 * SQ2. Only values of SAMPLE leaves merge, and only within the open generation; deletes and everything else never do.
 * SQ3. A position goes in whole or not at all. The open generation takes no more once it has `limit` entries, but for
 *      positions that merge into what is there: a subscriber of so few sampled leaves is never full.
 * SQ4. `whole` of the sealed generation is true of the client once everything in it was taken: each slot up to there.
 */
import { ConflatingQueue, type Taken } from '../core/conflating-queue.ts';
import { comparePositions, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafChange } from './state-feed.ts';

export type QueuedChange = Taken<string, LeafChange>;

export class StreamQueue {
  readonly #limit: number;
  readonly #queue: ConflatingQueue<string, LeafChange>;
  #sealedLeft = 0;
  /** How far each slot went in. */
  readonly #through = new Map<Slot, Position>();
  #whole: readonly Position[] = [];

  constructor(limit: number) {
    this.#limit = limit;
    this.#queue = new ConflatingQueue<string, LeafChange>({
      limit: Number.POSITIVE_INFINITY, // the bound is by whole positions (SQ3)
      place: 'last', // SQ1
      merge: (queued, incoming) => (isSampled(queued) && isSampled(incoming) ? incoming : null), // SQ2
    });
  }

  get openLength(): number {
    return this.#queue.length - this.#sealedLeft;
  }

  get sealedLength(): number {
    return this.#sealedLeft;
  }

  /** Older values that newer ones stand for, from the beginning. */
  get coalesced(): number {
    return this.#queue.merged;
  }

  /** The position up to which the slot went in, whether anything of it was wanted or not. */
  through(slot: Slot): Position | undefined {
    return this.#through.get(slot);
  }

  /** Nothing of the slot up to here is to be sent. */
  start(position: Position): void {
    this.#through.set(position.slot, position);
  }

  /**
   * Changes of one slot from `at` on, in log order; returns where it stopped, the number of changes if there was room for
   * all. Then the slot is in up to `through`, else up to the last position that went in (SQ3).
   */
  put(changes: readonly LeafChange[], at: number, through: Position): number {
    let next = at;
    for (let position = positionAt(changes, next); position.length > 0; position = positionAt(changes, next)) {
      if (!this.#hasRoom(position)) return next; // SQ3
      for (const change of position) {
        this.#queue.put(change.device, change.key, change);
        this.#advance(change);
      }
      next += position.length;
    }
    this.#advance(through);
    return next;
  }

  /** Never back: a record of a displaced writer may come late. */
  #advance({ slot, epoch, seq }: Position): void {
    const position = { slot, epoch, seq };
    const known = this.#through.get(slot);
    if (known === undefined || comparePositions(position, known) > 0) this.#through.set(slot, position);
  }

  #hasRoom(position: readonly LeafChange[]): boolean {
    return (
      this.openLength < this.#limit ||
      position.every((change) => this.#queue.wouldMerge(change.device, change.key, change))
    );
  }

  /** What is in is as it will be sent; `without`: slots of which it is not all there is to send (SQ4). */
  seal(without: (slot: Slot) => boolean): void {
    this.#queue.seal();
    this.#sealedLeft = this.#queue.length;
    this.#whole = [...this.#through.values()].filter(({ slot }) => !without(slot));
  }

  /** Everything sealed of the next position, all of one slot (SQ1); empty: the sealed generation is written. */
  takePosition(): QueuedChange[] {
    const taken: QueuedChange[] = [];
    for (let next = this.#queue.peek(); next !== undefined && this.#sealedLeft > 0; next = this.#queue.peek()) {
      const [first] = taken;
      if (first !== undefined && !isSamePosition(first.value, next.value)) break;
      taken.push(next);
      this.#queue.take();
      this.#sealedLeft -= 1;
    }
    return taken;
  }

  /** More of the slot is to be sent than the sealed generation has (SQ4). */
  exclude(slot: Slot): void {
    this.#whole = this.#whole.filter((position) => position.slot !== slot);
  }

  /** SQ4. */
  get whole(): readonly Position[] {
    return this.#whole;
  }

  clear(): void {
    this.#queue.clear();
    this.#through.clear();
    this.#sealedLeft = 0;
    this.#whole = [];
  }
}

function isSampled(change: LeafChange): boolean {
  return change.leaf?.sampled === true;
}

function isSamePosition(a: LeafChange, b: LeafChange): boolean {
  return a.slot === b.slot && a.epoch === b.epoch && a.seq === b.seq;
}

/** The changes from `start` on that have its position. */
function positionAt(changes: readonly LeafChange[], start: number): readonly LeafChange[] {
  const first = changes[start];
  if (first === undefined) return [];
  let end = start + 1;
  for (let next = changes[end]; next !== undefined && isSamePosition(first, next); next = changes[end]) end += 1;
  return changes.slice(start, end);
}
