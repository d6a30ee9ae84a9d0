import { systemClock, type Timer } from '../../core/clock.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type LockMember } from './lock-member.ts';

export interface SilenceWatch {
  /** For how long at most one of the slots got nothing acked, whoever held it, in milliseconds; ends the watch. */
  end(): number;
}

const sampleMs = 25;

export function watchSilence(members: readonly LockMember[], slots: readonly Slot[]): SilenceWatch {
  const startedAtMs = systemClock.nowMs();
  let longestMs = 0;
  const sample = (): void => {
    const latest = new Map(slots.map((slot) => [slot, startedAtMs]));
    for (const { slot, ackedAtMs } of members.flatMap((member) => member.stats().epochs)) {
      const before = latest.get(slot);
      if (before !== undefined) latest.set(slot, Math.max(before, ackedAtMs));
    }
    longestMs = Math.max(longestMs, systemClock.nowMs() - Math.min(...latest.values()));
  };
  const timer: Timer = systemClock.every(sampleMs, sample);
  return {
    end: () => {
      timer.cancel();
      sample();
      return longestMs;
    },
  };
}
