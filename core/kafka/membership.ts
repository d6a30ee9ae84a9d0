import { type Plan } from '../../schemas/ownership.ts';
import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { RateLimited, type Logger } from '../logger.ts';
import { type Random } from '../random.ts';
import {
  type Answer,
  type Coordinator,
  type Joined,
  type JoinProtocol,
  type MemberRef,
  type SyncOrder,
} from './coordinator.ts';
import { isLeftOut } from './leader-plan.ts';
import { type LockTimers } from './lock-timers.ts';
import { type WorkerEvent } from './worker-state.ts';

/**
 * The membership's requests: JoinGroup, SyncGroup, LeaveGroup, each repeated until it is answered, and who we are by the
 * answers. What an answer means is the worker machine's to say.
 *
 * M1. At most one Join is under way (`serial`); what comes back for an older one is ignored, and so is the Sync of a
 *     generation after which a Join was sent (O9).
 * M2. A Join that is unanswered for S is sent again, the same bytes with the same member id, on a new connection; the old
 *     one is reset, so that no copy arrives late.
 * M3. Nothing is joined before LeaveGroup of the former member id is answered and the last session is closed.
 * M4. A plan that cannot be read is refused by name and asked for again: nothing is adopted, and what is held stays held,
 *      reported in every Join, under the lease. One that leaves us out, or is for another number of slots, others act on as
 *      if we held nothing: it counts as not being a member.
 */
export interface MembershipOptions {
  readonly coordinator: Coordinator;
  readonly timers: LockTimers;
  readonly clock: Clock;
  readonly random: Random;
  readonly dispatch: (event: WorkerEvent) => void;
  /** The held report of this moment, in every form that we speak. */
  readonly report: () => readonly JoinProtocol[];
  /** The leader's plan for these members. Throws when this worker does not fit into the group. */
  readonly makePlan: (joined: Joined) => NonNullable<SyncOrder['plan']>;
  /** Throws `PLAN_INVALID` for bytes that are no plan for us. */
  readonly readPlan: (bytes: Buffer, memberId: string) => Plan;
  readonly logger: Logger;
  /** Resolves once no slot is lost. */
  readonly closed: (signal: AbortSignal) => Promise<void>;
}

const leftOutMsMin = 10_000;
const leftOutMsMax = 60_000;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff({ initialMs: 100, maxMs: 1_000, factor: 2, jitter: 0.5 });
  #serial = 0;
  #memberId = '';
  #joined: Joined | null = null;
  #synced: { readonly member: MemberRef; readonly plan: Plan } | null = null;
  /** The join lane has a request under way. */
  #pending = 0;
  #failed = false;
  /** Who was left out of the plan comes back later each time: each of its Joins is a rebalance for everybody. */
  #leftOutMs = 0;
  #troubleSinceMs: number | null = null;
  #attemptAtMs = 0;
  #leaving: Promise<void> = Promise.resolve();
  readonly #limited = new RateLimited();

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  get memberId(): string {
    return this.#memberId;
  }

  get isLeader(): boolean {
    return this.#joined?.leader === true;
  }

  /** Member id and generation of the last JoinGroup; null while there is none. */
  current(): MemberRef | null {
    return this.#joined;
  }

  /** Of the last SyncGroup, with its plan. */
  synced(): { readonly member: MemberRef; readonly plan: Plan } | null {
    return this.#synced;
  }

  /** Settles when no LeaveGroup is unanswered. */
  get leaving(): Promise<void> {
    return this.#leaving;
  }

  /**
   * True when JoinGroup could not be handed to any connection for S/2: then heartbeats must stop too, because one member
   * that heartbeats and cannot rejoin would make everybody's lease end.
   */
  cannotJoin(): boolean {
    const { clock, timers } = this.#options;
    if (this.#troubleSinceMs === null) return false;
    const nowMs = clock.monotonicMs();
    const handedOver = this.#pending > 0 && nowMs - this.#attemptAtMs > timers.heartbeatMs; // past connecting
    return !handedOver && nowMs - this.#troubleSinceMs > timers.sessionTimeoutMs / 2;
  }

  join(asNew: boolean): void {
    this.#serial += 1;
    if (this.#pending > 0) this.#options.coordinator.reset('join'); // nothing queues behind a Sync that is out
    void this.#join(this.#serial, asNew).catch((thrown: unknown) => this.#fail(thrown));
  }

  sync(): void {
    const joined = this.#joined;
    if (joined !== null) void this.#sync(this.#serial, joined).catch((thrown: unknown) => this.#fail(thrown));
  }

  /** No Join is ours any more, and no answer counts; the member id is kept for `leave`. */
  abandon(): void {
    this.#serial += 1;
    if (this.#pending > 0) this.#options.coordinator.reset('join');
    this.#joined = null;
    this.#synced = null;
  }

  leave(): void {
    const memberId = this.#memberId;
    this.abandon();
    this.#memberId = '';
    if (memberId === '') return;
    const before = this.#leaving;
    this.#leaving = before.then(() => this.#leave(memberId)).catch(() => undefined);
  }

  /** Ends every wait and every repeat. */
  stop(): void {
    this.#serial += 1;
    this.#stop.abort(new Error('the member stopped'));
  }

  async #join(serial: number, asNew: boolean): Promise<void> {
    const { coordinator, clock, random, closed, report, dispatch } = this.#options;
    const { signal } = this.#stop;
    await this.#leaving; // M3
    await closed(signal);
    if (this.#failed || asNew) await clock.sleep(this.#failed ? this.#backoff.nextMs(random) : 0, signal);
    if (asNew && this.#leftOutMs > 0) await clock.sleep(this.#leftOutMs, signal);
    if (serial !== this.#serial) return;
    if (asNew) this.#memberId = '';
    const protocols = report(); // M2: the same bytes however often it is sent
    for (;;) {
      const sentAtMs = clock.monotonicMs();
      const onMemberId = (memberId: string): void => {
        if (serial === this.#serial) this.#memberId = memberId;
      };
      const order = { memberId: this.#memberId, protocols, onMemberId };
      const answer = await this.#answered(() => coordinator.join(order)); // M2
      if (serial !== this.#serial) return; // M1
      if (answer.kind === 'ok') {
        this.#memberId = answer.value.memberId;
        this.#joined = answer.value;
        dispatch({ kind: 'joined', sentAtMs });
        return;
      }
      this.#failed = true;
      if (answer.kind === 'unknown-member' || answer.kind === 'fatal') {
        dispatch(answer);
        return;
      }
      if (answer.kind === 'lost') dispatch({ kind: 'coordinator-lost', lane: 'join' });
      await clock.sleep(this.#backoff.nextMs(random), signal);
      if (serial !== this.#serial) return;
    }
  }

  async #sync(serial: number, joined: Joined): Promise<void> {
    const { coordinator, clock, random, dispatch } = this.#options;
    const { memberId, generation } = joined;
    const order = joined.leader ? this.#options.makePlan(joined) : null;
    for (;;) {
      const sentAtMs = clock.monotonicMs();
      const answer = await this.#answered(() => coordinator.sync({ memberId, generation, plan: order }));
      if (serial !== this.#serial) return; // M1
      const plan = answer.kind === 'ok' ? this.#read(answer.value, memberId) : null;
      if (plan === 'left-out') {
        this.#failed = true;
        this.#leftOutMs = Math.min(Math.max(2 * this.#leftOutMs, leftOutMsMin), leftOutMsMax);
        this.leave(); // nothing that we may hold counts in this group
        dispatch({ kind: 'unknown-member' }); // M4
        return;
      }
      if (plan !== null) {
        this.#synced = { member: { memberId, generation }, plan };
        this.#failed = false;
        this.#leftOutMs = 0;
        this.#backoff.reset();
        dispatch({ kind: 'synced', sentAtMs });
        return;
      }
      this.#failed = true;
      if (answer.kind !== 'lost' && answer.kind !== 'refused') {
        dispatch(answer.kind === 'ok' ? { kind: 'rebalance' } : answer); // ok without a plan for us (M4)
        return;
      }
      dispatch({ kind: 'coordinator-lost', lane: 'join' });
      await clock.sleep(this.#backoff.nextMs(random), this.#stop.signal);
      if (serial !== this.#serial) return;
    }
  }

  /** Null: it cannot be read (M4). */
  #read(bytes: Buffer, memberId: string): Plan | 'left-out' | null {
    const { readPlan, logger, clock } = this.#options;
    try {
      return readPlan(bytes, memberId);
    } catch (thrown) {
      const suppressed = this.#limited.pass('plan', clock.monotonicMs());
      const line = { code: 'PLAN_INVALID', cause: messageOf(thrown), bytes: bytes.length, suppressed };
      if (suppressed !== undefined) logger.error(line, 'plan refused, asking for another one');
      return isLeftOut(thrown) ? 'left-out' : null;
    }
  }

  async #leave(memberId: string): Promise<void> {
    const { coordinator, clock, random, closed, dispatch } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ initialMs: 100, maxMs: 1_000, factor: 2, jitter: 0.5 });
    await closed(signal);
    while (!signal.aborted) {
      const answer = await coordinator.leave(memberId);
      if (answer.kind !== 'lost') return; // whatever it says: the coordinator knows
      dispatch({ kind: 'coordinator-lost', lane: 'group' });
      await clock.sleep(backoff.nextMs(random), signal);
    }
  }

  /** One request of the join lane; unanswered for S, its connection is reset, and it answers `lost`. */
  async #answered<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    const { coordinator, clock, timers } = this.#options;
    const timer = clock.after(timers.sessionTimeoutMs, () => coordinator.reset('join')); // M2
    this.#pending += 1;
    this.#attemptAtMs = clock.monotonicMs();
    try {
      const answer = await ask();
      if (answer.kind === 'lost') this.#troubleSinceMs ??= this.#attemptAtMs;
      else this.#troubleSinceMs = null;
      return answer;
    } finally {
      this.#pending -= 1;
      timer.cancel();
    }
  }

  #fail(thrown: unknown): void {
    if (this.#stop.signal.aborted) return;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.#options.dispatch({ kind: 'fatal', error });
  }
}
