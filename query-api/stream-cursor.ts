/**
 * Where the reader of one stream stands: everything up to these positions was written to it.
 *
 * SC1. A slot is in only while all of its state was sent; a reader that comes back without it begins anew.
 * SC2. Within a slot it never goes back: a record of a displaced writer may come late.
 */
import { encodeCursor } from '../schemas/cursor.ts';
import { comparePositions, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';

export class StreamCursor {
  readonly #positions = new Map<Slot, Position>();
  readonly #tagOf: () => string | null;
  #text: string | null = null;
  #tag: string | null = null;

  /** `tagOf`: the log that the positions are of, which may become another one, or known only later. */
  constructor(tagOf: () => string | null) {
    this.#tagOf = tagOf;
  }

  /** All of the slot up to here was sent. */
  set(position: Position): void {
    const known = this.#positions.get(position.slot);
    if (known !== undefined && comparePositions(position, known) <= 0) return; // SC2
    this.#positions.set(position.slot, position);
    this.#text = null;
  }

  /** As `set`, of a slot that is in (SC1). */
  advance(position: Position): void {
    if (this.#positions.has(position.slot)) this.set(position);
  }

  delete(slot: Slot): void {
    if (this.#positions.delete(slot)) this.#text = null;
  }

  clear(): void {
    this.#positions.clear();
    this.#text = null;
  }

  get isEmpty(): boolean {
    return this.#positions.size === 0;
  }

  get text(): string {
    const tag = this.#tagOf();
    if (tag !== this.#tag) this.#text = null;
    this.#tag = tag;
    return (this.#text ??= encodeCursor([...this.#positions.values()], tag));
  }
}
