/**
 * At most so many devices are being dialled at a time: a take-over of a thousand devices is then a queue of handshakes that
 * succeed, not a thousand that time out together. First come, first served.
 *
 * Who finds a connection prepared dials nothing and takes no place, but does not come with all the others in one turn of the
 * event loop either: the first Subscribe would leave the process after the work for the last one.
 */
const passesPerTurn = 8;

export class DialGate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  readonly #passing: (() => void)[] = [];
  #inside = 0;
  #passesLeft = passesPerTurn;
  #turnArmed = false;

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

  /** Resolves in this turn of the event loop or, behind others, in one of the next. */
  pass(): Promise<void> {
    if (!this.#turnArmed) this.#armTurn();
    if (this.#passesLeft > 0) {
      this.#passesLeft -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#passing.push(resolve));
  }

  #armTurn(): void {
    this.#turnArmed = true;
    setImmediate(() => {
      const next = this.#passing.splice(0, passesPerTurn);
      this.#passesLeft = passesPerTurn - next.length;
      this.#turnArmed = false;
      if (next.length > 0) this.#armTurn();
      for (const resolve of next) resolve();
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
