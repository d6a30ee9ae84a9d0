/**
 * What one subscriber has still to be sent. A reader that does not read must cost neither memory nor the other readers:
 * `write` returning false is obeyed until `drained` (T22), and beyond the bound everything is let go and the reader is
 * told so. Nothing is dropped silently: either a message is sent in its turn or the stream ends.
 */
export interface OutboxBounds {
  readonly messages: number;
  readonly bytes: number;
}

export interface OutboxSink {
  /** False: wait for `drained` before the next one. */
  write(message: Buffer): boolean;
  /** The bound was passed; nothing more will be written. */
  overflowed(): void;
}

export class Outbox {
  readonly #sink: OutboxSink;
  readonly #bounds: OutboxBounds;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #blocked = false;
  #closed = false;
  #onIdle: (() => void) | null = null;

  constructor(sink: OutboxSink, bounds: OutboxBounds) {
    this.#sink = sink;
    this.#bounds = bounds;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  send(message: Buffer): void {
    if (this.#closed) return;
    if (!this.#blocked) {
      this.#blocked = !this.#sink.write(message);
      return;
    }
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    const { messages, bytes } = this.#bounds;
    // One message alone is never too much: a bound in bytes must not refuse a large value.
    if (this.#waiting.length > messages || (this.#waitingBytes > bytes && this.#waiting.length > 1)) {
      this.close();
      this.#sink.overflowed();
    }
  }

  drained(): void {
    this.#blocked = false;
    let sent = 0;
    while (sent < this.#waiting.length && !this.#blocked) {
      const message = this.#waiting[sent++];
      if (message === undefined) break;
      this.#waitingBytes -= message.length;
      this.#blocked = !this.#sink.write(message);
    }
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length === 0) this.#onIdle?.();
  }

  /** Calls back once when everything accepted so far was handed on; at once if it already was. */
  whenIdle(callback: () => void): void {
    if (this.#waiting.length === 0) callback();
    else
      this.#onIdle = () => {
        this.#onIdle = null;
        callback();
      };
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}
