import { setMaxListeners } from 'node:events';

/** Waiting that can be given up: the few compositions of `AbortSignal` and promises that the product needs. */

/** True for the rejection that an aborted signal causes, whatever its reason is. */
export function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  const named = typeof thrown === 'object' && thrown !== null && 'name' in thrown && thrown.name === 'AbortError';
  return named || thrown === signal.reason;
}

/**
 * Settles as `work` does, or rejects with the signal's reason, whichever comes first. For work that cannot be
 * cancelled (DNS, a library call): its late rejection is swallowed, because nobody is left to act on it.
 */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      work.catch(() => undefined);
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * A signal that many waits of one call may hang on, one per slot or partition: it aborts with `signal`, and Node does
 * not take the number of its listeners for a leak. For waits that end with the call.
 */
export function manyWaits(signal: AbortSignal): AbortSignal {
  const shared = AbortSignal.any([signal]);
  setMaxListeners(0, shared);
  return shared;
}
