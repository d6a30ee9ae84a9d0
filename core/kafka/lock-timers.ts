import { HoldfastError } from '../errors.ts';
import { type CommonSettings } from '../settings.ts';

/**
 * The four timers of the lock. The same values in every member of a group, because a member that is slower than the
 * coordinator thinks holds slots that were given away.
 */
export interface LockTimers {
  /** S: the coordinator removes a member from which it accepted nothing for this long. */
  readonly sessionTimeoutMs: number;
  /** R: the coordinator removes a member that does not rejoin within this of a rebalance's start. */
  readonly rebalanceTimeoutMs: number;
  /** H: period of heartbeats and of probe commits. */
  readonly heartbeatMs: number;
  /** G: a worker stops this long before the coordinator may act. */
  readonly guardMs: number;
}

/**
 * `default` outlives a crashed broker (noticed after 9 s, elected and loaded after about 11.5 s: 11.5 + G + 3 H + 1 s =
 * 16.5 s < S). `fast` halves the time until a dead worker's slots move, and drops every device when a broker dies.
 */
const profiles: Readonly<Record<CommonSettings['timers'], Omit<LockTimers, 'rebalanceTimeoutMs'>>> = {
  default: { sessionTimeoutMs: 20_000, heartbeatMs: 1_000, guardMs: 1_000 },
  fast: { sessionTimeoutMs: 6_000, heartbeatMs: 500, guardMs: 500 },
};

/** The timers that the settings ask for. Throws `SETTING_INVALID` with every bound that is broken (`facts.problems`). */
export function lockTimersOf(
  settings: Pick<CommonSettings, 'timers' | 'sessionTimeoutMs' | 'heartbeatMs' | 'leaseGuardMs' | 'rebalanceTimeoutMs'>,
): LockTimers {
  const profile = profiles[settings.timers];
  const timers: LockTimers = {
    sessionTimeoutMs: settings.sessionTimeoutMs ?? profile.sessionTimeoutMs,
    rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
    heartbeatMs: settings.heartbeatMs ?? profile.heartbeatMs,
    guardMs: settings.leaseGuardMs ?? profile.guardMs,
  };
  const problems = problemsOf(timers);
  if (problems.length > 0) throw new HoldfastError('SETTING_INVALID', problems.join('\n'), { facts: { problems } });
  return timers;
}

/** The bounds that `timers` breaks, each with its remedy; empty when they are sound. */
export function problemsOf(timers: LockTimers): string[] {
  const { sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs, guardMs } = timers;
  const problems: string[] = [];
  if (rebalanceTimeoutMs < 3 * sessionTimeoutMs) {
    problems.push(
      `rebalanceTimeoutMs ${rebalanceTimeoutMs} is below three session timeouts: set it to at least ${3 * sessionTimeoutMs}`,
    );
  }
  if (heartbeatMs > sessionTimeoutMs / 10) {
    problems.push(
      `heartbeatMs ${heartbeatMs} is above a tenth of the session timeout: set it to at most ${Math.floor(sessionTimeoutMs / 10)}`,
    );
  }
  if (guardMs >= sessionTimeoutMs / 5) {
    problems.push(
      `leaseGuardMs ${guardMs} is not below a fifth of the session timeout: set it below ${Math.floor(sessionTimeoutMs / 5)}`,
    );
  }
  return problems;
}
