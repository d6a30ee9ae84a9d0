/**
 * Writes a stream as fast as its reader takes it.
 *
 * WR1. Text that the reader has not taken is bounded by the credit; whoever writes waits for it.
 * WR2. A reader that takes nothing for `maxBlockedMs` is let go: what it holds up is for others.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { Credit } from '../core/credit.ts';
import { type StreamSink } from './stream-answer.ts';

/** Twice what fills a long fast path; beside it the system's own socket buffers hold some. */
const creditBytes = 256 * 1024;

export class StreamBlocked extends Error {}

export class StreamWriter {
  readonly #sink: StreamSink;
  readonly #clock: Clock;
  readonly #maxBlockedMs: number;
  readonly #credit: Credit;
  #granted: () => void = () => undefined;

  constructor(sink: StreamSink, clock: Clock, maxBlockedMs: number) {
    this.#sink = sink;
    this.#clock = clock;
    this.#maxBlockedMs = maxBlockedMs;
    this.#credit = new Credit(creditBytes, () => this.#granted());
  }

  /** Resolves when the text is on its way; rejects with StreamBlocked (WR2), and when the sink's signal aborts. */
  async write(text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    this.#sink.signal.throwIfAborted();
    while (!this.#credit.spend(bytes)) await this.#creditComes(); // WR1
    this.#sink.write(text, () => this.#credit.grant(bytes));
  }

  #creditComes(): Promise<void> {
    const { signal } = this.#sink;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        this.#granted = () => undefined;
        settle();
      };
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const timer: Timer = this.#clock.after(this.#maxBlockedMs, () =>
        end(() => reject(new StreamBlocked(`nothing was taken for ${this.#maxBlockedMs} ms`))),
      );
      this.#granted = () => end(resolve);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
