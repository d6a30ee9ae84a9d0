import { type Member, type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { RateLimited } from '../logger.ts';
import { type Timer } from '../clock.ts';
import { deferred } from '../deferred.ts';
import { raceAbort } from '../abort.ts';
import { type JoinProtocol, type Lane, type MemberRef, type Refusal } from './coordinator.ts';
import { Heartbeats } from './heartbeats.ts';
import { encodeHeldReport } from './held-report.ts';
import { decodePlan } from './leader-plan.ts';
import { Leadership } from './leadership.ts';
import { LeaseWatch } from './lease-watch.ts';
import { type Proof } from './lease.ts';
import { type LockTimers } from './lock-timers.ts';
import { Membership } from './membership.ts';
import { type OwnershipListener } from './ownership-log.ts';
import { Neighbours } from './neighbours.ts';
import { type Peers } from './peers.ts';
import { SlotDriver, type SlotDriverOptions } from './slot-driver.ts';
import { type SlotWriter, type Standby } from './slot-host.ts';
import { type WorkerFacts } from './worker-facts.ts';
import { leaseOf, stepWorker, type WorkerEffect, type WorkerEvent, type WorkerState } from './worker-state.ts';

/**
 * Drives the worker machine over its ports (coordinator, `ownership` log, clock, chance): the same code over Kafka and
 * under simulation. Answers, timers and wishes become events, taken one at a time; effects are performed in order.
 *
 *   Membership: Join, Sync, Leave · Heartbeats: session and coordinator · SlotDriver: what is held
 *   Leadership: the plan, while we lead · Peers: evidence and hurry · Standby: what we may have to take · here: the lease
 */
export interface LockWorkerOptions<W extends SlotWriter> extends Omit<SlotDriverOptions<W>, 'worker'> {
  readonly timers: LockTimers;
  readonly self: Omit<Member, 'memberId'>;
  readonly capacity: number;
  readonly peers: Peers;
  readonly standby: Standby;
  /** The worker cannot go on; everything it held is let go. */
  readonly onFatal: (error: Error) => void;
}

/** Newest form first: the group uses the newest that every member speaks, so that programs can be replaced one by one. */
const reportFormats = [2, 1] as const;
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
  readonly #leadership: Leadership;
  readonly #neighbours: Neighbours;
  readonly #timers = new Map<'tick' | 'rebalance' | 'drain', Timer>();
  readonly #firstPlan = deferred<undefined>();
  readonly #exited = deferred<undefined>();
  readonly #closedWaiters = new Set<() => void>();
  readonly #queue: WorkerEvent[] = [];
  readonly #limited = new RateLimited();
  #state: WorkerState = { kind: 'unjoined' };
  #dispatching = false;
  #plan: Plan | null = null;
  /** Slots that we were last asked to be ready for. */
  #standingBy: ReadonlySet<Slot> = new Set();
  #nonce = 0;
  #draining = false;
  #wantedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LockWorkerOptions<W>) {
    this.#options = options;
    const { coordinator, timers, clock, random, slots, log, logger } = options;
    this.#firstPlan.promise.catch(() => undefined); // nobody may wait for it yet
    this.#lease = new LeaseWatch({
      timers,
      clock,
      lease: () => leaseOf(this.#state),
      onEnd: () => this.#dispatch({ kind: 'lease-end' }),
      onStall: (nowMs, lostMs) => {
        this.#dispatch({ kind: 'stalled', nowMs, lostMs });
        this.#heartbeats.now();
      },
    });
    this.#slots = new SlotDriver({ ...options, worker: this.#facts });
    this.#neighbours = new Neighbours({ ...options, dispatch: (event) => this.#dispatch(event) });
    this.#leadership = new Leadership({
      slots,
      log,
      clock,
      logger,
      leads: () => this.#membership.isLeader && this.#state.kind === 'member',
      wantRebalance: (why) => this.#wantRebalance(why),
      evict: (memberId) => void coordinator.leave(memberId),
    });
    this.#membership = new Membership({
      coordinator,
      timers,
      clock,
      random,
      dispatch: (event) => this.#dispatch(event),
      report: () => this.#report(),
      makePlan: (joined) => this.#leadership.plan(joined, this.#plan),
      readPlan: (bytes, memberId) => decodePlan(bytes, slots, memberId),
      logger,
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
    this.#checkUnjoined(); // what is opened after `stop` nobody closes
    await log.start(this.#listener, signal);
    await this.#options.peers.start({
      gone: (memberId) => this.#dispatch({ kind: 'peer-gone', memberId }),
      nudged: () => this.#dispatch({ kind: 'nudge' }),
    });
    this.#checkUnjoined();
    this.#lease.start();
    this.#timers.set(
      'tick',
      clock.every(timers.heartbeatMs, () => this.#onTick()),
    );
    this.#heartbeats.start();
    this.#dispatch({ kind: 'start' });
    await raceAbort(this.#firstPlan.promise, signal);
  }

  #checkUnjoined(): void {
    if (this.#state.kind !== 'unjoined') throw new Error('the member was stopped before it joined');
  }

  /** Drains: everything is handed over, the group is left. Resolves when nothing is held. */
  async stop(): Promise<void> {
    const { clock, coordinator, log, peers } = this.#options;
    if (!this.#draining) {
      this.#draining = true;
      this.#nonce += 1;
      this.#arm('drain', drainMsMax, () => this.#dispatch({ kind: 'drain-deadline' }));
      this.#dispatch({ kind: 'drain' });
      this.#neighbours.hurrySoon();
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
    await peers.stop(); // last: until here we are there
  }

  /** Slots became warm here: worth a round only where we are short of slots, for the leader looks again by itself. */
  warmed(): void {
    const plan = this.#plan;
    if (plan === null || this.#state.kind !== 'member' || this.#draining) return;
    const { standby, slots } = this.#options;
    const owned = this.#ownedBy(plan, this.#numberIn(plan));
    const ready = [...this.#standingBy].some((slot) => standby.isWarm(slot));
    if (ready && owned < Math.floor(slots / plan.members.length)) this.#wantRebalance('slots became warm here');
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
    self: () => this.#self(),
    mayAcquire: () => this.#state.kind === 'member' && this.leaseLive(),
    leaseLive: () => this.leaseLive(),
    draining: () => this.#draining,
    othersMayDoBetter: () => this.#othersMayDoBetter(),
    accepted: (proof, sentAtMs, member) => this.#accepted(proof, sentAtMs, member),
    refused: (kind, lane, member, error) => this.#refused(kind, lane, member, error),
    wantRebalance: (why) => this.#wantRebalance(why),
    slotsChanged: () => this.#settle(),
  };

  #self(): Member {
    const { self, peers } = this.#options;
    return { ...self, peer: peers.address, memberId: this.#membership.memberId };
  }

  readonly #listener: OwnershipListener = {
    slotChanged: (record: SlotOwnership) => {
      this.#slots.ownershipChanged(record);
      this.#leadership.slotChanged();
    },
    slotLowered: (best) => this.#slots.heal(best),
    planChanged: (plan) => this.#leadership.planChanged(plan),
    planLowered: (best) => this.#leadership.planLowered(best),
    wishesChanged: () => this.#leadership.wishesChanged(),
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
        this.#options.peers.identify(this.#membership.memberId);
        this.#membership.sync();
        return;
      case 'adopt':
        this.#adopt();
        return;
      case 'drop-all':
        this.#slots.dropAll();
        this.#standBy(new Set());
        return;
      case 'abandon-join':
        this.#membership.abandon();
        return;
      case 'leave':
        this.#membership.leave();
        return;
      case 'leave-for':
        void this.#neighbours.removeGone(effect.memberId);
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
    const self = this.#numberIn(plan);
    const owned = this.#ownedBy(plan, self);
    const fields = { version: plan.version, generation: plan.generation, members: plan.members.length, owned };
    this.#options.logger.info({ ...fields, leader: this.#membership.isLeader }, 'plan adopted');
    this.#slots.adopt(plan, member.memberId);
    this.#neighbours.adopted(plan, self);
    this.#standBy(this.#slotsToStandBy(plan, self));
    this.#leadership.adopted(plan);
    this.#heartbeats.now(); // the first commit makes the lease live
    this.#firstPlan.resolve(undefined);
  }

  #numberIn(plan: Plan): number {
    return plan.members.findIndex(({ memberId }) => memberId === this.#membership.memberId) + 1;
  }

  #ownedBy(plan: Plan, number: number): number {
    return number === 0 ? 0 : plan.slots.filter(({ owner }) => owner === number).length;
  }

  #othersMayDoBetter(): boolean {
    const lease = leaseOf(this.#state);
    const { clock, timers } = this.#options;
    if (lease === null || (this.#plan?.members.length ?? 0) < 2 || !this.leaseLive()) return false;
    return clock.monotonicMs() - lease.coordinatorAtMs < 3 * timers.heartbeatMs;
  }

  /** What the plan makes us standby of, and what we stood by for and are about to take. */
  #slotsToStandBy(plan: Plan, self: number): ReadonlySet<Slot> {
    const { states } = this.#slots;
    const slots = [...plan.slots.entries()].filter(
      ([slot, { owner, standby }]) =>
        standby === self || (owner === self && states[slot]?.kind !== 'active' && this.#standingBy.has(slot)),
    );
    return new Set(self === 0 ? [] : slots.map(([slot]) => slot));
  }

  #standBy(slots: ReadonlySet<Slot>): void {
    this.#standingBy = slots;
    this.#options.standby.prepare(slots);
  }

  #report(): JoinProtocol[] {
    const { capacity, slots, standby } = this.#options;
    const { held, releasing } = this.#slots.report();
    const report = {
      ...this.#self(),
      capacity,
      draining: this.#draining,
      nonce: this.#nonce,
      adoptedVersion: this.#plan?.version ?? 0n,
      held,
      releasing,
      warm: new Set(Array.from({ length: slots }, (_, slot) => slot).filter((slot) => standby.isWarm(slot))),
      unable: this.#slots.unable(),
      weights: new Map([...held.keys()].map((slot) => [slot, standby.weightOf(slot)])),
    };
    return reportFormats.map((format) => ({
      name: `holdfast-${format}`,
      report: encodeHeldReport(report, slots, format),
    }));
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
      this.#neighbours.hurrySoon();
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
    this.#neighbours.stop();
    this.#leadership.stop();
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

  #arm(name: 'rebalance' | 'drain', ms: number, then: () => void): void {
    this.#timers.get(name)?.cancel();
    this.#timers.set(name, this.#options.clock.after(Math.max(0, ms), then));
  }
}
