/** Work one after another, in the order it came; beyond a bound it is refused with `LIMIT_EXCEEDED`. */
import { HoldfastError } from '../core/errors.ts';

const changesMax = 64;
const nothing = (): void => undefined;

export class SerialQueue {
  readonly #lengthMax: number;
  #tail: Promise<void> = Promise.resolve();
  #length = 0;

  constructor(lengthMax = changesMax) {
    this.#lengthMax = lengthMax;
  }

  /** What waits, and what is being done. */
  get length(): number {
    return this.#length;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#length >= this.#lengthMax) {
      const detail = `${this.#lengthMax} changes are waiting already; try again, or import many devices in one request`;
      return Promise.reject(new HoldfastError('LIMIT_EXCEEDED', detail, { retryable: true }));
    }
    this.#length += 1;
    const result = this.#tail.then(work).finally(() => {
      this.#length -= 1;
    });
    this.#tail = result.then(nothing, nothing); // the next one does not mind, and nobody keeps the result
    return result;
  }
}
