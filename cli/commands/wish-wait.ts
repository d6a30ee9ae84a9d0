/**
 * What the commands that wish something of ownership have in common: the group leaders make a wish true, so they look
 * until it is, and say on the way what has changed.
 */
import { type Command } from 'commander';
import { type Clock } from '../../core/clock.ts';
import { wholeNumber } from './api-flags.ts';

export interface WaitFlags {
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout: number;
}

export function withWait(command: Command): Command {
  return command
    .option('--no-wait', 'return once the wish is written')
    .option('--timeout <seconds>', 'wait at most so long', wholeNumber, 60);
}

export interface WishWait<T> {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly look: () => Promise<T>;
  readonly isFulfilled: (state: T) => boolean;
  /** In words; a line is told once, and the last one, of the fulfilled wish, not at all. */
  readonly describe: (state: T) => string;
  readonly tell: (line: string) => void;
}

export interface WishOutcome<T> {
  readonly fulfilled: boolean;
  /** As it was seen last. */
  readonly state: T;
}

const pollMs = 500;

/** Looks at once and then every half second; the time is its bound. Rejects as `look` does. */
export async function waitForWish<T>(wait: WishWait<T>): Promise<WishOutcome<T>> {
  const { clock, timeoutMs, look, isFulfilled, describe, tell } = wait;
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (let told = ''; ;) {
    const state = await look();
    if (isFulfilled(state)) return { fulfilled: true, state };
    const line = describe(state);
    if (line !== told) tell(line);
    told = line;
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0) return { fulfilled: false, state };
    await clock.sleep(Math.min(pollMs, leftMs));
  }
}
