/**
 * At most so many devices are being dialled at a time: a take-over of a thousand devices is then a queue of handshakes that
 * succeed, not a thousand that time out together. First come, first served.
 */
export class DialGate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(options: { readonly max: number }) {
    this.#max = options.max;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves with the way out, which may be taken more than once. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#inside < this.#max) return Promise.resolve(this.#admit());
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#admit());
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(onTurn), 1);
        reject(signal.reason as Error);
      };
      this.#waiting.push(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #admit(): () => void {
    this.#inside += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inside -= 1;
      this.#waiting.shift()?.();
    };
  }
}
