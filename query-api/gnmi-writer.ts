/**
 * The writing end of one gNMI stream. A reader that does not read costs what is here and nothing more (T22): `write`
 * returning false is obeyed until `drain`, and never more than `outstandingBytesMax` are handed on before the transport
 * took them. If the transport takes nothing for longer than the setting while there is something to take, however little,
 * the stream ends.
 */
import { type Clock, type Timer } from '../core/clock.ts';

export interface WritableCall {
  write(message: Buffer, taken: () => void): boolean;
  on(event: 'drain', listener: () => void): unknown;
}

export interface GnmiWriterOptions {
  readonly call: WritableCall;
  readonly clock: Clock;
  readonly blockedMsMax: number;
  readonly onReady: () => void;
  readonly onBlockedTooLong: () => void;
}

/** Four full messages: enough to keep a connection busy, little enough for a thousand stalled readers. */
const outstandingBytesMax = 65_536;

export class GnmiWriter {
  readonly #options: GnmiWriterOptions;
  #outstandingBytes = 0;
  #needsDrain = false;
  /** When the transport last took something, or was first given something to take. */
  #takenMonotonicMs = 0;
  #timer: Timer | null = null;
  #closed = false;
  #onIdle: (() => void) | null = null;
  #messages = 0;

  constructor(options: GnmiWriterOptions) {
    this.#options = options;
    options.call.on('drain', () => {
      this.#needsDrain = false;
      this.#settled();
    });
  }

  get blocked(): boolean {
    return this.#needsDrain || this.#outstandingBytes >= outstandingBytesMax;
  }

  get messages(): number {
    return this.#messages;
  }

  write(message: Buffer): void {
    if (this.#closed) return;
    this.#messages += 1;
    if (!this.#isWaiting) this.#takenMonotonicMs = this.#options.clock.monotonicMs();
    this.#outstandingBytes += message.length;
    const more = this.#options.call.write(message, () => {
      this.#outstandingBytes -= message.length;
      this.#takenMonotonicMs = this.#options.clock.monotonicMs();
      this.#settled();
    });
    if (!more) this.#needsDrain = true;
    if (this.#isWaiting) this.#watch(this.#options.blockedMsMax);
  }

  get #isWaiting(): boolean {
    return this.#needsDrain || this.#outstandingBytes > 0;
  }

  /** One timer at a time, not one per message: it looks when the last thing was taken, and sleeps on for the rest. */
  #watch(delayMs: number): void {
    const { clock, blockedMsMax, onBlockedTooLong } = this.#options;
    this.#timer ??= clock.after(delayMs, () => {
      this.#timer = null;
      if (!this.#isWaiting) return;
      const leftMs = this.#takenMonotonicMs + blockedMsMax - clock.monotonicMs();
      if (leftMs <= 0) onBlockedTooLong();
      else this.#watch(Math.ceil(leftMs));
    });
  }

  /** Calls back once when everything written so far was taken. */
  whenIdle(callback: () => void): void {
    this.#onIdle = callback;
    this.#settled();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#onIdle = null;
  }

  #settled(): void {
    if (this.#closed || this.blocked) return;
    if (this.#outstandingBytes === 0 && this.#onIdle !== null) {
      const callback = this.#onIdle;
      this.#onIdle = null;
      callback();
      return;
    }
    this.#options.onReady();
  }
}
