/** Waiting that can be given up: the few compositions of `AbortSignal` and promises that the product needs. */

/** True for the rejection that an aborted signal causes, whatever its reason is. */
export function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (thrown === signal.reason || (thrown instanceof Error && thrown.name === 'AbortError'));
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
