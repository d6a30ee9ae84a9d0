/**
 * Time as an argument. Wall clock (`nowMs`, `nowNs`) for what is written down and shown, monotonic clock
 * (`monotonicMs`) for every decision; the two never meet in one expression. Nothing else in the product reads a clock
 * or arms a timer, so a test may hand in virtual time.
 */
export interface Timer {
  /** Idempotent; after it returns the callback will not run. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, unix milliseconds. */
  nowMs(): number;
  /** Wall clock, unix nanoseconds; steps with the system clock. */
  nowNs(): bigint;
  /** Milliseconds since an arbitrary moment; never steps back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason once it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`. */
  after(ms: number, callback: () => void): Timer;
  /** Calls back every `ms` until cancelled. */
  every(ms: number, callback: () => void): Timer;
}

/** Node fires a longer timer after 1 ms, so longer waits are chained. */
const timerMsMax = 2_147_483_647;

function after(ms: number, callback: () => void): Timer {
  let handle: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(Math.max(leftMs, 0), timerMsMax);
    handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : callback()), stepMs);
  };
  arm(ms);
  return { cancel: () => clearTimeout(handle) };
}

function every(ms: number, callback: () => void): Timer {
  const handle = setInterval(callback, Math.min(ms, timerMsMax));
  return { cancel: () => clearInterval(handle) };
}

/** A clock's `sleep` from its `after`: resolves after `ms`; rejects with the signal's reason once it aborts. */
export function sleepBy(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Wall time in nanoseconds: the system clock's milliseconds carried on by the monotonic counter's finer digits. */
function createNowNs(): () => bigint {
  const stepNs = 2_000_000n; // beyond 2 ms apart the system clock was stepped, and it is the one that counts
  let offsetNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  return () => {
    const carriedNs = process.hrtime.bigint() + offsetNs;
    const systemNs = BigInt(Date.now()) * 1_000_000n;
    const apartNs = carriedNs - systemNs;
    if (apartNs < stepNs && apartNs > -stepNs) return carriedNs;
    offsetNs += systemNs - carriedNs;
    return systemNs;
  };
}

/** The machine's clocks: given to services by `main.ts`, and to tests on real parts. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowNs: createNowNs(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleepBy({ after }, ms, signal),
  after,
  every,
};
