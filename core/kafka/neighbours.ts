import { type Plan } from '../../schemas/ownership.ts';
import { type Clock, type Timer } from '../clock.ts';
import { type Logger } from '../logger.ts';
import { type Coordinator } from './coordinator.ts';
import { type Peer, type Peers } from './peers.ts';
import { type WorkerEvent } from './worker-state.ts';

/**
 * What a worker does about the processes beside it: it watches them, removes from the group whose process is gone, and
 * hurries them when a rebalance waits for their heartbeat.
 *
 * NB1. Only a member of the adopted plan is removed, and only on the evidence of `peers.ts` (O13).
 * NB2. The rebalance that follows is joined once LeaveGroup was accepted: a Join that overtook it would change nothing.
 * NB3. Hurry is never needed: whoever is not hurried learns of the rebalance with its next heartbeat.
 */
export interface NeighboursOptions {
  readonly coordinator: Pick<Coordinator, 'leave'>;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dispatch: (event: WorkerEvent) => void;
}

/** Up to so many processes everybody watches everybody; beyond, only whom one stands by for. */
const watchedByAllMax = 16;
/** A Join of ours takes some milliseconds to its coordinator; the second time is for one that was slow. */
const hurryAfterMs = [10, 100] as const;
const removeTries = 10;
const removeRetryMs = 100;

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #stopping = new AbortController();
  readonly #timers = new Set<Timer>();
  #plan: Plan | null = null;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** `self`: our number in the plan, 0 when we are not in it. */
  adopted(plan: Plan, self: number): void {
    this.#plan = plan;
    this.#options.peers.watch(self === 0 ? [] : peersToWatch(plan, self));
  }

  /** LeaveGroup for a process that is gone, until it is answered or the next plan does not know the member any more. */
  async removeGone(memberId: string): Promise<void> {
    const { coordinator, clock, logger, peers, dispatch } = this.#options;
    const { signal } = this.#stopping;
    const member = this.#plan?.members.find((candidate) => candidate.memberId === memberId);
    if (member === undefined) return; // NB1
    for (let left = removeTries; left > 0 && this.#mayRemove(memberId); left -= 1) {
      const answer = await coordinator.leave(memberId);
      if (signal.aborted) return;
      if (answer.kind === 'ok') {
        logger.warn({ instance: member.instance, memberId }, 'process of a member is gone: removed from the group');
        dispatch({ kind: 'rebalance' }); // NB2
        peers.nudge();
        return;
      }
      if (answer.kind !== 'lost') {
        dispatch({ kind: 'nudge' }); // somebody was faster: a heartbeat tells whether a rebalance goes on
        return;
      }
      dispatch({ kind: 'coordinator-lost', lane: 'group' });
      await clock.sleep(removeRetryMs, signal).catch(() => undefined);
    }
  }

  /** After a Join or Leave of ours that begins a rebalance (NB3). */
  hurrySoon(): void {
    const { clock, peers } = this.#options;
    if (this.#stopping.signal.aborted) return;
    for (const ms of hurryAfterMs) {
      const timer = clock.after(ms, () => {
        this.#timers.delete(timer);
        peers.nudge();
      });
      this.#timers.add(timer);
    }
  }

  stop(): void {
    this.#stopping.abort(new Error('the member stopped'));
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** By its id (NB1): a later plan may still have it, and evidence comes only once. */
  #mayRemove(memberId: string): boolean {
    const known = this.#plan?.members.some((member) => member.memberId === memberId) === true;
    return known && !this.#stopping.signal.aborted;
  }
}

function peersToWatch(plan: Plan, self: number): Peer[] {
  const standingFor = new Set(plan.slots.filter(({ standby }) => standby === self).map(({ owner }) => owner));
  const everybody = plan.members.length <= watchedByAllMax;
  return plan.members
    .filter((_, index) => index + 1 !== self && (everybody || standingFor.has(index + 1)))
    .map(({ memberId, incarnation, peer }) => ({ memberId, incarnation, address: peer }));
}
