import { Backoff } from '../backoff.ts';
import { type Clock, type Timer } from '../clock.ts';
import { type Random } from '../random.ts';
import { type Coordinator, type MemberRef, type ProbeProof, type Refusal } from './coordinator.ts';
import { type Proof } from './lease.ts';
import { type LockTimers } from './lock-timers.ts';

/**
 * The two beats that keep a lease alive, each on its own connection and timer: heartbeats prove the session, probe
 * commits prove that the coordinator is one. One request of a kind at a time; a lost one is repeated at once.
 */
export interface HeartbeatsOptions {
  readonly coordinator: Coordinator;
  readonly timers: LockTimers;
  readonly clock: Clock;
  readonly random: Random;
  /** Member id and generation of the last JoinGroup. */
  readonly current: () => MemberRef | null;
  /** The same of the last SyncGroup. */
  readonly synced: () => MemberRef | null;
  readonly suspended: () => boolean;
  readonly accepted: (proof: Proof, sentAtMs: number, member: MemberRef) => void;
  readonly refused: (kind: Refusal, lane: 'heartbeat' | 'probe', member: MemberRef, error: Error) => void;
}

type Beat = 'heartbeat' | 'probe';

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #stop = new AbortController();
  readonly #busy = new Set<Beat>();
  readonly #again = new Set<Beat>();
  #timer: Timer | undefined;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.timers.heartbeatMs, () => this.#onPeriod());
  }

  /** Beats at once, or once more when the beat that is under way is answered: it may be older than what is asked for. */
  now(): void {
    this.#start('heartbeat', true);
    this.#start('probe', true);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#stop.abort(new Error('the member stopped'));
  }

  #onPeriod(): void {
    this.#start('heartbeat', false);
    this.#start('probe', false);
  }

  #start(beat: Beat, urgent: boolean): void {
    if (this.#busy.has(beat)) {
      if (urgent) this.#again.add(beat);
      return;
    }
    this.#busy.add(beat);
    void this.#run(beat)
      .catch(() => undefined) // only the end of the back-off's sleep rejects
      .finally(() => {
        this.#busy.delete(beat);
        if (this.#again.delete(beat) && !this.#stop.signal.aborted) this.#start(beat, false);
      });
  }

  async #run(beat: Beat): Promise<void> {
    const { clock, random, timers } = this.#options;
    const backoff = new Backoff({ initialMs: 50, maxMs: timers.heartbeatMs, factor: 2, jitter: 0.5 });
    while (!this.#stop.signal.aborted && !(await this.#once(beat))) {
      await clock.sleep(backoff.nextMs(random), this.#stop.signal);
    }
  }

  /** False: it was lost and has to be repeated. */
  async #once(beat: Beat): Promise<boolean> {
    const { coordinator, clock, current, synced, suspended, accepted, refused } = this.#options;
    const member = current();
    const inSync = member !== null && synced()?.generation === member.generation;
    if (member === null || suspended()) return true;
    const sentAtMs = clock.monotonicMs();
    const answer = await (beat === 'heartbeat' ? coordinator.heartbeat(member) : coordinator.probe(member));
    if (this.#stop.signal.aborted) return true;
    if (answer.kind === 'ok') {
      if (beat === 'heartbeat') accepted(inSync ? 'heartbeat' : 'session', sentAtMs, member);
      else this.#probed(answer.value, inSync, sentAtMs, member);
      return true;
    }
    if (beat === 'heartbeat' && answer.kind === 'rebalance') accepted('session', sentAtMs, member);
    refused(answer.kind, beat, member, answer.error);
    return answer.kind !== 'lost';
  }

  #probed(proof: ProbeProof | null, inSync: boolean, sentAtMs: number, member: MemberRef): void {
    const { accepted, refused } = this.#options;
    if (proof === null || proof === 'nothing') return;
    accepted('commit', sentAtMs, member);
    if (proof === 'rebalance') refused('rebalance', 'probe', member, new Error('a rebalance goes on'));
    else if (inSync) accepted('join', sentAtMs, member);
  }
}
