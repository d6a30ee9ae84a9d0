import { type Member, type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { RateLimited } from '../logger.ts';
import { type Timer } from '../clock.ts';
import { deferred } from '../deferred.ts';
import { raceAbort } from '../abort.ts';
import { type Joined, type Lane, type MemberRef, type Refusal, type SyncOrder } from './coordinator.ts';
import { Heartbeats } from './heartbeats.ts';
import { encodeHeldReport } from './held-report.ts';
import { leaderPlan } from './leader-plan.ts';
import { LeaseWatch } from './lease-watch.ts';
import { type Proof } from './lease.ts';
import { type LockTimers } from './lock-timers.ts';
import { Membership } from './membership.ts';
import { type OwnershipListener } from './ownership-log.ts';
import { noPlacements } from './plan.ts';
import { SlotDriver, type SlotDriverOptions } from './slot-driver.ts';
import { type SlotWriter } from './slot-host.ts';
import { type WorkerFacts } from './worker-facts.ts';
import { leaseOf, stepWorker, type WorkerEffect, type WorkerEvent, type WorkerState } from './worker-state.ts';

/**
 * Drives the worker machine over its ports (coordinator, `ownership` log, clock, chance): the same code over Kafka and
 * under simulation. Answers, timers and wishes become events, taken one at a time; effects are performed in order.
 *
 *   Membership: Join, Sync, Leave · Heartbeats: session and coordinator · SlotDriver: what is held · here: lease and plan
 */
export interface LockWorkerOptions<W extends SlotWriter> extends Omit<SlotDriverOptions<W>, 'worker'> {
  readonly timers: LockTimers;
  readonly self: Omit<Member, 'memberId'>;
  readonly capacity: number;
  /** The worker cannot go on; everything it held is let go. */
  readonly onFatal: (error: Error) => void;
}

/** Balancing that was left over goes on after this. */
const leftoversMs = 10_000;
const wantRebalanceMsMin = 1_000;
const drainMsMax = 25_000;
/** LeaveGroup on the way out is tried for this long; the session timeout does the rest. */
const leaveMsMax = 3_000;

export class LockWorker<W extends SlotWriter> {
  readonly #options: LockWorkerOptions<W>;
  readonly #membership: Membership;
  readonly #heartbeats: Heartbeats;
  readonly #slots: SlotDriver<W>;
  readonly #lease: LeaseWatch;
  readonly #timers = new Map<'tick' | 'leftovers' | 'rebalance' | 'drain', Timer>();
  readonly #firstPlan = deferred<undefined>();
  readonly #exited = deferred<undefined>();
  readonly #closedWaiters = new Set<() => void>();
  readonly #queue: WorkerEvent[] = [];
  readonly #limited = new RateLimited();
  #state: WorkerState = { kind: 'unjoined' };
  #dispatching = false;
  #plan: Plan | null = null;
  #leftovers = 0;
  #nonce = 0;
  #draining = false;
  #wantedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LockWorkerOptions<W>) {
    this.#options = options;
    const { coordinator, timers, clock, random } = options;
    this.#lease = new LeaseWatch({
      timers,
      clock,
      lease: () => leaseOf(this.#state),
      onEnd: () => this.#dispatch({ kind: 'lease-end' }),
      onStall: (nowMs) => {
        this.#dispatch({ kind: 'stalled', nowMs });
        this.#heartbeats.now();
      },
    });
    this.#slots = new SlotDriver({ ...options, worker: this.#facts });
    this.#membership = new Membership({
      coordinator,
      timers,
      clock,
      random,
      dispatch: (event) => this.#dispatch(event),
      report: () => this.#report(),
      plan: (joined) => this.#makePlan(joined),
      closed: (signal) => this.#closed(signal),
    });
    this.#heartbeats = new Heartbeats({
      coordinator,
      timers,
      clock,
      random,
      current: () => this.#membership.current(),
      synced: () => this.#facts.synced(),
      suspended: () => this.#membership.cannotJoin(),
      accepted: (proof, sentAtMs, member) => this.#facts.accepted(proof, sentAtMs, member),
      refused: (kind, lane, member, error) => this.#facts.refused(kind, lane, member, error),
    });
  }

  /** Reads `ownership`, joins, and resolves with the first plan. Rejects when the group cannot be joined at all. */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, timers, log } = this.#options;
    await log.start(this.#listener, signal);
    this.#lease.start();
    this.#timers.set(
      'tick',
      clock.every(timers.heartbeatMs, () => this.#onTick()),
    );
    this.#heartbeats.start();
    this.#firstPlan.promise.catch(() => undefined);
    this.#dispatch({ kind: 'start' });
    await raceAbort(this.#firstPlan.promise, signal);
  }

  /** Drains: everything is handed over, the group is left. Resolves when nothing is held. */
  async stop(): Promise<void> {
    const { clock, coordinator, log } = this.#options;
    if (!this.#draining) {
      this.#draining = true;
      this.#nonce += 1;
      this.#arm('drain', drainMsMax, () => this.#dispatch({ kind: 'drain-deadline' }));
      this.#dispatch({ kind: 'drain' });
    }
    await this.#exited.promise;
    this.#timers.get('drain')?.cancel();
    const leave = this.#membership.leaving;
    const late = new AbortController();
    const limit = clock.after(leaveMsMax, () => late.abort(new Error('LeaveGroup took too long')));
    await raceAbort(leave, late.signal).catch(() => undefined);
    limit.cancel();
    this.#membership.stop();
    this.#slots.stop();
    coordinator.destroy();
    await log.stop();
  }

  leaseLive(): boolean {
    return this.#lease.live();
  }

  /** Slots whose sessions are open. */
  held(): Slot[] {
    return this.#slots.active();
  }

  get state(): WorkerState['kind'] {
    return this.#state.kind;
  }

  get plan(): Plan | null {
    return this.#plan;
  }

  get slots(): SlotDriver<W> {
    return this.#slots;
  }

  readonly #facts: WorkerFacts = {
    synced: () => this.#membership.synced()?.member ?? null,
    self: () => ({ ...this.#options.self, memberId: this.#membership.memberId }),
    mayAcquire: () => this.#state.kind === 'member' && this.leaseLive(),
    leaseLive: () => this.leaseLive(),
    draining: () => this.#draining,
    accepted: (proof, sentAtMs, member) => this.#accepted(proof, sentAtMs, member),
    refused: (kind, lane, member, error) => this.#refused(kind, lane, member, error),
    wantRebalance: (why) => this.#wantRebalance(why),
    slotsChanged: () => this.#settle(),
  };

  readonly #listener: OwnershipListener = {
    slotChanged: (record: SlotOwnership) => this.#slots.ownershipChanged(record),
    slotLowered: (best) => this.#slots.heal(best),
    planChanged: (plan) => {
      const ours = this.#plan;
      if (ours === null || !this.#membership.isLeader || this.#state.kind !== 'member') return;
      if (plan.version >= ours.version && plan.generation !== ours.generation) {
        this.#wantRebalance('another plan with a higher version was written');
      }
    },
    planLowered: () => {
      if (this.#membership.isLeader && this.#state.kind === 'member') this.#writePlan();
    },
    fatal: (error) => this.#dispatch({ kind: 'fatal', error }),
  };

  #accepted(proof: Proof, sentAtMs: number, member: MemberRef): void {
    if (this.#membership.current()?.memberId !== member.memberId) return;
    this.#dispatch({ kind: 'accepted', proof, sentAtMs });
  }

  /** Errors for a superseded member id or generation are ignored. */
  #refused(kind: Refusal, lane: Lane, member: MemberRef, error: Error): void {
    const current = this.#membership.current();
    if (current === null || current.memberId !== member.memberId) return;
    if (kind === 'lost' || kind === 'refused') {
      const suppressed = this.#limited.pass(`${lane} ${error.name}`, this.#options.clock.monotonicMs());
      const fields = { lane, cause: error.message, suppressed };
      if (suppressed !== undefined) this.#options.logger.warn(fields, 'coordinator request failed, trying again');
    }
    if (kind === 'lost') this.#dispatch({ kind: 'coordinator-lost', lane });
    else if (kind === 'fatal') this.#dispatch({ kind, error });
    else if (kind === 'unknown-member') this.#dispatch({ kind });
    else if (kind !== 'refused' && current.generation === member.generation) this.#dispatch({ kind });
  }

  /** Events are taken one at a time, each with all its effects. */
  #dispatch(event: WorkerEvent): void {
    this.#queue.push(event);
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#take(next);
    } finally {
      this.#dispatching = false;
    }
    this.#settle();
  }

  #take(event: WorkerEvent): void {
    const before = this.#state.kind;
    const { state, effects } = stepWorker(this.#state, event);
    this.#state = state;
    if (state.kind !== before) {
      const fields = { from: before, to: state.kind, event: event.kind };
      if (state.kind === 'fenced') this.#options.logger.warn(fields, 'membership lost');
      else this.#options.logger.debug(fields, 'worker state changed');
    }
    const live = this.leaseLive();
    this.#lease.renew();
    for (const effect of effects) this.#perform(effect);
    if (!live && this.leaseLive()) this.#slots.evaluate();
  }

  #perform(effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'join':
        this.#slots.freeze();
        this.#membership.join(effect.asNew);
        return;
      case 'sync':
        this.#membership.sync();
        return;
      case 'adopt':
        this.#adopt();
        return;
      case 'drop-all':
        this.#slots.dropAll();
        return;
      case 'abandon-join':
        this.#membership.abandon();
        return;
      case 'leave':
        this.#membership.leave();
        return;
      case 'leave-for':
        void this.#options.coordinator.leave(effect.memberId);
        return;
      case 'heartbeat-now':
        this.#heartbeats.now();
        return;
      case 'find':
        this.#options.coordinator.reset(effect.lane);
        return;
      case 'exit':
        void this.#exit(effect.error);
    }
  }

  #adopt(): void {
    const synced = this.#membership.synced();
    if (synced === null) return;
    const { plan, member } = synced;
    this.#plan = plan;
    const self = plan.members.findIndex(({ memberId }) => memberId === member.memberId) + 1;
    const owned = plan.slots.filter(({ owner }) => owner === self && self > 0).length;
    const fields = { version: plan.version, generation: plan.generation, members: plan.members.length, owned };
    this.#options.logger.info({ ...fields, leader: this.#membership.isLeader }, 'plan adopted');
    this.#slots.adopt(plan, member.memberId);
    if (this.#membership.isLeader) this.#writePlan();
    this.#timers.get('leftovers')?.cancel();
    if (this.#membership.isLeader && this.#leftovers > 0) {
      this.#arm('leftovers', leftoversMs, () => this.#wantRebalance('slots were left to balance'));
    }
    this.#heartbeats.now(); // the first commit makes the lease live
    this.#firstPlan.resolve(undefined);
  }

  #writePlan(): void {
    const { log, logger } = this.#options;
    if (this.#plan === null) return;
    log.writePlan(this.#plan).catch((cause: unknown) => logger.warn({ cause: String(cause) }, 'plan not written'));
  }

  #report(): Buffer {
    const { self, capacity, slots } = this.#options;
    return encodeHeldReport(
      {
        ...self,
        capacity,
        draining: this.#draining,
        nonce: this.#nonce,
        adoptedVersion: this.#plan?.version ?? 0n,
        ...this.#slots.report(),
        warm: new Set(),
        unable: this.#slots.unable(),
      },
      slots,
    );
  }

  #makePlan(joined: Joined): NonNullable<SyncOrder['plan']> {
    const { log, slots, clock } = this.#options;
    const knowledge = {
      slots,
      adopted: this.#plan,
      written: log.view.plan,
      placements: noPlacements,
      nowMs: clock.nowMs(),
    };
    const { order, leftovers } = leaderPlan(joined, knowledge);
    this.#leftovers = leftovers;
    return order;
  }

  /** Asks for another plan, at most once a second: the nonce makes the report new, and a new report starts a rebalance. */
  #wantRebalance(why: string): void {
    const { clock, logger } = this.#options;
    if (this.#timers.has('rebalance')) return;
    const waitMs = Math.max(0, this.#wantedAtMs + wantRebalanceMsMin - clock.monotonicMs());
    this.#arm('rebalance', waitMs, () => {
      this.#timers.delete('rebalance');
      this.#wantedAtMs = clock.monotonicMs();
      this.#nonce += 1;
      logger.debug({ why }, 'rebalance wanted');
      this.#dispatch({ kind: 'want-rebalance' });
    });
  }

  #onTick(): void {
    this.#lease.tick();
    this.#slots.tick();
  }

  /** What follows from slots and state together, whichever changed last. */
  #settle(): void {
    if (this.#dispatching) return;
    if (!this.#slots.anyLost()) {
      for (const wake of [...this.#closedWaiters]) wake();
      if (this.#state.kind === 'fenced' && this.#state.phase === 'closing') this.#dispatch({ kind: 'all-closed' });
    }
    if (this.#state.kind === 'leaving' && !this.#slots.anyBusy()) this.#dispatch({ kind: 'empty-handed' });
  }

  async #closed(signal: AbortSignal): Promise<void> {
    while (this.#slots.anyLost()) {
      const woken = deferred<undefined>();
      const wake = (): void => woken.resolve(undefined);
      this.#closedWaiters.add(wake);
      await raceAbort(woken.promise, signal).finally(() => this.#closedWaiters.delete(wake));
    }
  }

  async #exit(error: Error | null): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#heartbeats.stop();
    this.#lease.stop();
    await this.#closed(new AbortController().signal);
    if (error !== null) {
      this.#firstPlan.reject(error);
      this.#options.onFatal(error);
    } else {
      this.#firstPlan.reject(new Error('the member was stopped before it had a plan'));
    }
    this.#exited.resolve(undefined);
  }

  #arm(name: 'leftovers' | 'rebalance' | 'drain', ms: number, then: () => void): void {
    this.#timers.get(name)?.cancel();
    this.#timers.set(name, this.#options.clock.after(Math.max(0, ms), then));
  }
}
