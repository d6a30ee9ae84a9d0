/**
 * Positions of a sealed generation as events of bounded size.
 *
 * SE1. An event ends between positions, and its id is the cursor there. A position that both deletes and sets is two
 *      events, the deletes first, and a very large one several; the id moves with the last of them: who stops before it
 *      is told the position again.
 */
import { type ValueEncoding } from '../schemas/value.ts';
import { type ChangeTexts } from './change-text.ts';
import { eventChars, formatEvent, type StreamEvent } from './sse-text.ts';
import { type StreamCursor } from './stream-cursor.ts';
import { type QueuedChange, type StreamQueue } from './stream-queue.ts';

export interface StreamEventsOptions {
  readonly queue: StreamQueue;
  readonly cursor: StreamCursor;
  readonly texts: ChangeTexts;
  readonly encoding: ValueEncoding;
}

export interface WrittenEvents {
  readonly text: string;
  readonly events: readonly StreamEvent[];
}

export class StreamEvents {
  readonly #options: StreamEventsOptions;
  #event: 'update' | 'delete' = 'update';
  #parts: string[] = [];
  #chars = 0;
  #text = '';
  #events: StreamEvent[] = [];

  constructor(options: StreamEventsOptions) {
    this.#options = options;
  }

  /** The next events out of the sealed generation, about `eventChars` of them; moves the cursor along (SE1). */
  next(nowNs: bigint): WrittenEvents {
    const { queue, cursor } = this.#options;
    this.#text = '';
    this.#events = [];
    let total = 0;
    while (queue.sealedLength > 0 && total < eventChars) {
      const position = queue.takePosition();
      const gone = position.filter(({ value }) => value.leaf === null);
      const set = gone.length === 0 ? position : position.filter(({ value }) => value.leaf !== null);
      if (gone.length > 0) total += this.#add('delete', gone, nowNs);
      if (set.length > 0) total += this.#add('update', set, nowNs);
      const first = position[0]?.value;
      if (first !== undefined) cursor.advance({ slot: first.slot, epoch: first.epoch, seq: first.seq });
    }
    if (queue.sealedLength === 0) for (const position of queue.whole) cursor.set(position); // SQ4
    this.#end();
    return { text: this.#text, events: this.#events };
  }

  #add(event: 'update' | 'delete', changes: readonly QueuedChange[], nowNs: bigint): number {
    const { texts, encoding } = this.#options;
    if (event !== this.#event) this.#end();
    this.#event = event;
    let chars = 0;
    for (const { value, merged } of changes) {
      const text = texts.format(value, encoding, nowNs, merged);
      this.#parts.push(text);
      this.#chars += text.length;
      chars += text.length;
      if (this.#chars >= eventChars) this.#end(); // a sweep of a large device is one position
    }
    return chars;
  }

  #end(): void {
    if (this.#parts.length === 0) return;
    const { cursor } = this.#options;
    const data = `{"${this.#event === 'update' ? 'leaves' : 'deletes'}":[${this.#parts.join(',')}]}`;
    this.#text += formatEvent(this.#event, data, cursor.isEmpty ? null : cursor.text);
    this.#events.push(this.#event);
    this.#parts = [];
    this.#chars = 0;
  }
}
