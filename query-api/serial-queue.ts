/** Work one after another, in the order it came; beyond a bound it is refused with `LIMIT_EXCEEDED`. */
import { HoldfastError } from '../core/errors.ts';

const waitingMax = 64;

export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= waitingMax) {
      const detail = `${waitingMax} changes are waiting already; try again, or import many devices in one request`;
      return Promise.reject(new HoldfastError('LIMIT_EXCEEDED', detail, { retryable: true }));
    }
    this.#waiting += 1;
    const result = this.#tail.then(work).finally(() => {
      this.#waiting -= 1;
    });
    this.#tail = result.catch(() => undefined); // the next one does not mind
    return result;
  }
}
