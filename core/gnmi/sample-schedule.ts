import { type PlannedSubscription } from './subscribe-plan.ts';

/**
 * When the samples and heartbeats of one stream are due. Times are monotonic milliseconds; deadlines are steps of the
 * interval from the beginning, so an interval is kept on average and never rounded (M6). A stream that was held up
 * continues with the next deadline instead of sending what it missed at once.
 */
export interface DueSubscription {
  readonly subscription: PlannedSubscription;
  /** Unchanged leaves are sent too: no suppression, or the heartbeat is due (M8). */
  readonly whole: boolean;
}

interface Entry {
  readonly subscription: PlannedSubscription;
  sampleAtMs: number;
  heartbeatAtMs: number;
}

export class SampleSchedule {
  readonly #entries: readonly Entry[];

  constructor(subscriptions: readonly PlannedSubscription[], nowMonotonicMs: number) {
    this.#entries = subscriptions
      .filter((one) => one.mode === 'sample' || one.heartbeatMs > 0)
      .map((subscription) => ({
        subscription,
        sampleAtMs: subscription.mode === 'sample' ? nowMonotonicMs + subscription.intervalMs : Infinity,
        heartbeatAtMs: subscription.heartbeatMs > 0 ? nowMonotonicMs + subscription.heartbeatMs : Infinity,
      }));
  }

  /** Infinity: never. */
  nextAtMs(): number {
    return this.#entries.reduce((next, entry) => Math.min(next, entry.sampleAtMs, entry.heartbeatAtMs), Infinity);
  }

  /** What is due now, each subscription at most once; its deadlines move on. */
  take(nowMonotonicMs: number): DueSubscription[] {
    const due: DueSubscription[] = [];
    for (const entry of this.#entries) {
      const { subscription } = entry;
      const sample = entry.sampleAtMs <= nowMonotonicMs;
      const heartbeat = entry.heartbeatAtMs <= nowMonotonicMs;
      if (!sample && !heartbeat) continue;
      due.push({ subscription, whole: heartbeat || !subscription.suppressRedundant });
      if (sample) entry.sampleAtMs = after(entry.sampleAtMs, subscription.intervalMs, nowMonotonicMs);
      if (heartbeat) entry.heartbeatAtMs = after(entry.heartbeatAtMs, subscription.heartbeatMs, nowMonotonicMs);
    }
    return due;
  }
}

function after(atMs: number, stepMs: number, nowMs: number): number {
  return atMs + stepMs * Math.max(1, Math.ceil((nowMs - atMs) / stepMs));
}
