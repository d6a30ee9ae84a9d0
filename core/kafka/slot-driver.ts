import { type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { HoldfastError } from '../errors.ts';
import { claimSlots, type AcquisitionPorts, type ClaimListener } from './acquisition.ts';
import { formatClaim, type Claim } from './claim.ts';
import { Departures } from './departures.ts';
import { SlotEnd } from './slot-end.ts';
import { SlotBegin } from './slot-begin.ts';
import { type SlotHost, type SlotWriter, type WriterHooks } from './slot-host.ts';
import { newSlotRun, type SlotRun } from './slot-run.ts';
import { heldEpochs, stepSlot, type SlotEffect, type SlotEvent, type SlotState } from './slot-state.ts';
import { SlotSummary } from './slot-summary.ts';
import { mayStart } from './start-rule.ts';

/**
 * Drives the slot machines of one worker: turns plans, `ownership` records and answers into events, and performs the
 * effects. What takes time runs beside it (`acquisition.ts`, `slot-begin.ts`, `slot-end.ts`) and reports back with events.
 *
 * SD1. What a slot's life started may speak only for that life: a report of an ended run is ignored.
 * SD2. A slot that cannot start, or does not get through its acquisition, within `stuckMs` is given back, and reported
 *      as one this worker is unable to run, so that the plan tries somebody else. So is a slot that runs and gets nothing
 *      acked, as long as Kafka answers otherwise, and one whose records Kafka refuses for good. This worker does not
 *      begin it again for as long.
 * SD3. Slots that go to others leave one after the other (`departures.ts`): each is silent only for its own hand-over.
 */
export interface SlotDriverOptions<W extends SlotWriter> extends AcquisitionPorts {
  readonly slots: number;
  readonly host: SlotHost<W>;
  readonly createWriter: (slot: Slot, epoch: bigint, hooks: WriterHooks) => W;
}

const none: SlotState = { kind: 'none' };
const stuckMs = 10_000;
const unableMs = 60_000;
/** Between two asks for a plan because of slots that cannot start: doubled up to this. */
const renewMsMax = 60_000;

export class SlotDriver<W extends SlotWriter> {
  readonly #options: SlotDriverOptions<W>;
  readonly #states: SlotState[];
  readonly #runs = new Map<Slot, SlotRun<W>>();
  readonly #sinceMs: number[];
  readonly #givenBackAtMs = new Map<Slot, number>();
  readonly #begin: SlotBegin<W>;
  readonly #end: SlotEnd<W>;
  readonly #summary: SlotSummary;
  readonly #stop = new AbortController();
  readonly #departures: Departures;
  #plan: Plan | null = null;
  #self = 0;
  #renewMs = stuckMs;
  #renewedAtMs = 0;

  constructor(options: SlotDriverOptions<W>) {
    this.#options = options;
    this.#states = Array.from({ length: options.slots }, () => none);
    this.#sinceMs = Array.from({ length: options.slots }, () => 0);
    this.#summary = new SlotSummary(options.logger);
    this.#departures = new Departures({ clock: options.clock, depart: (slot, event) => this.#dispatch(slot, event) });
    const report = (run: SlotRun<W>, event: SlotEvent): void => {
      if (this.#isCurrent(run)) this.#dispatch(run.slot, event); // SD1
    };
    this.#begin = new SlotBegin(options, report);
    this.#end = new SlotEnd(options, report);
  }

  /** Slots from the commit of their claim to the end of their release, with epochs: what a held report says. */
  report(): { readonly held: ReadonlyMap<Slot, bigint>; readonly releasing: ReadonlyMap<Slot, bigint> } {
    return heldEpochs(this.#states.entries());
  }

  unable(): ReadonlySet<Slot> {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [slot, sinceMs] of this.#givenBackAtMs)
      if (nowMs - sinceMs >= unableMs) this.#givenBackAtMs.delete(slot);
    return new Set(this.#givenBackAtMs.keys());
  }

  /** Slots whose sessions are open. */
  active(): Slot[] {
    return [...this.#states.keys()].filter((slot) => this.#states[slot]?.kind === 'active');
  }

  /** Some session of a slot that was dropped is not gone yet. */
  anyLost(): boolean {
    return this.#states.some(({ kind }) => kind === 'lost');
  }

  /** Something is held, being acquired or released, or not closed yet. */
  anyBusy(): boolean {
    return this.#states.some(({ kind }) => kind !== 'none' && kind !== 'assigned');
  }

  adopt(plan: Plan, memberId: string): void {
    this.#plan = plan;
    this.#self = plan.members.findIndex((member) => member.memberId === memberId) + 1;
    const departures = new Map<Slot, SlotEvent>();
    for (const [slot, state] of this.#states.entries()) {
      const event = this.#planEvent(plan, slot);
      if (state.kind === 'active' && event.kind !== 'plan-mine') departures.set(slot, event);
      else this.#dispatch(slot, event);
    }
    this.#departures.begin(departures);
    this.evaluate();
  }

  /** One state per slot: for logs, metrics and the simulation's eyes. */
  get states(): readonly SlotState[] {
    return this.#states;
  }

  freeze(): void {
    for (const slot of this.#states.keys()) this.#dispatch(slot, { kind: 'freeze' });
  }

  dropAll(): void {
    this.#departures.stop(); // nothing is owed for what is dropped: nobody may take it for released in order
    for (const slot of this.#states.keys()) this.#dispatch(slot, { kind: 'drop' });
  }

  /** Begins what the start rule allows now; cheap, called whenever something it depends on has changed. */
  evaluate(): void {
    const plan = this.#plan;
    if (plan === null || !this.#options.worker.mayAcquire()) return;
    const claimed: SlotRun<W>[] = [];
    for (const [slot, state] of this.#states.entries()) {
      if (this.#rests(slot)) continue;
      if (state.kind !== 'assigned' || !mayStart(plan, slot, this.#options.log.view.slot(slot))) continue;
      this.#dispatch(slot, { kind: 'startable' });
      const run = this.#runs.get(slot);
      if (run !== undefined) claimed.push(run);
    }
    if (claimed.length === 0) return;
    const claiming = claimSlots(this.#options, plan, claimed, this.#claims, this.#stop.signal);
    for (const run of claimed) run.claiming = claiming;
  }

  ownershipChanged(record: SlotOwnership): void {
    const state = this.#states[record.slot];
    if (state === undefined) return;
    const own = record.holder?.incarnation === this.#options.worker.self().incarnation;
    if (!own) this.#dispatch(record.slot, { kind: 'displaced', epoch: record.epoch });
    if (!own && record.state === 'held') this.#departures.taken(record.slot);
    if (state.kind === 'assigned') this.evaluate();
  }

  /** A record of ours was followed by a lower one: write it again. */
  heal(best: SlotOwnership): void {
    const { log, worker } = this.#options;
    if (best.holder?.incarnation !== worker.self().incarnation) return;
    const state = this.#states[best.slot];
    const run = this.#runs.get(best.slot);
    if (best.state === 'released') void log.writeSlot(best).catch(() => undefined);
    else if (state?.kind === 'active' && state.epoch === best.epoch && run?.writer) {
      void this.#begin.rewriteHeld(run.writer, best);
    }
  }

  /** Looks for slots that do not get on (SD2); called once a heartbeat period. */
  tick(): void {
    const { clock, worker, log } = this.#options;
    const nowMs = clock.monotonicMs();
    let waiting = false;
    for (const [slot, state] of this.#states.entries()) {
      const forMs = nowMs - (this.#sinceMs[slot] ?? nowMs);
      if (state.kind === 'acquiring' && state.epoch !== null && forMs > stuckMs) {
        this.#dispatch(slot, { kind: 'stuck' });
      } else if (state.kind === 'active' && this.#isMute(slot, nowMs)) {
        this.#dispatch(slot, { kind: 'stuck' });
      } else if (state.kind === 'assigned' && forMs > stuckMs) waiting = true;
    }
    if (!waiting) this.#renewMs = stuckMs;
    else if (nowMs - this.#renewedAtMs > this.#renewMs && worker.mayAcquire()) {
      this.#renewedAtMs = nowMs;
      this.#renewMs = Math.min(this.#renewMs * 2, renewMsMax);
      log.reconnect(); // the release we wait for may be there already, behind a broken link
      worker.wantRebalance('assigned slots cannot start');
    }
    this.evaluate();
  }

  /** Repeats the claim with a new offset and position. Rejects, retryable, when it was not accepted. */
  async commitOffset(slot: Slot, nextOffset: bigint, applied: Claim['applied']): Promise<void> {
    const { coordinator, worker, clock } = this.#options;
    const state = this.#states[slot];
    const run = this.#runs.get(slot);
    const member = worker.synced();
    // The last commit of a slot is made while it is released, before the release is written (C5).
    if (run === undefined || member === null || (state?.kind !== 'active' && state?.kind !== 'releasing')) {
      throw new HoldfastError('LEASE_LOST', `slot ${slot} is not held`, { facts: { slot } });
    }
    const metadata = formatClaim({ epoch: state.epoch, memberId: member.memberId, applied });
    const sentAtMs = clock.monotonicMs();
    const commit = coordinator.commit(member, [{ slot, offset: nextOffset, metadata }]);
    run.committing.add(commit);
    const answer = await commit.finally(() => run.committing.delete(commit));
    if (answer.kind === 'ok') {
      run.committedOffset = nextOffset;
      run.applied = applied;
      worker.accepted('commit', sentAtMs, member);
      return;
    }
    if (answer.kind === 'lost') run.uncertainGeneration = member.generation;
    worker.refused(answer.kind, 'group', member, answer.error);
    const options = { retryable: true, cause: answer.error, facts: { slot } };
    throw new HoldfastError('KAFKA_UNAVAILABLE', `the offset of slot ${slot} was not committed`, options);
  }

  stop(): void {
    this.#stop.abort(new Error('the member stopped'));
    this.#departures.stop();
  }

  readonly #claims: ClaimListener<W> = {
    isCurrent: (run) => this.#isCurrent(run),
    commitSent: (run, epoch) => this.#dispatch(run.slot, { kind: 'commit-sent', epoch }),
    claimed: (run) => this.#dispatch(run.slot, { kind: 'claimed' }),
    refused: (run, uncertain) => this.#dispatch(run.slot, { kind: 'claim-refused', uncertain }),
  };

  /** It has just been given back, and nobody else took it: another attempt at once would end alike (SD2). */
  #rests(slot: Slot): boolean {
    const sinceMs = this.#givenBackAtMs.get(slot);
    return sinceMs !== undefined && this.#options.clock.monotonicMs() - sinceMs < stuckMs;
  }

  #planEvent(plan: Plan, slot: Slot): SlotEvent {
    const entry = plan.slots[slot];
    if (this.#self === 0 || entry === undefined) return { kind: 'plan-other' };
    if (entry.owner === this.#self) return { kind: 'plan-mine' };
    return entry.prev === this.#self ? { kind: 'plan-prev', prevEpoch: entry.prevEpoch } : { kind: 'plan-other' };
  }

  /** Something of the slot waits for an ack for too long, though Kafka answers (SD2). */
  #isMute(slot: Slot, nowMs: number): boolean {
    const run = this.#runs.get(slot);
    const progress = run?.writer?.progress();
    if (run === undefined || progress === undefined) return false;
    const { unacked, ackedBatches } = progress;
    if (!unacked) run.unackedSinceMs = null;
    else if (run.unackedSinceMs === null || ackedBatches !== run.ackedBatches) run.unackedSinceMs = nowMs;
    run.ackedBatches = ackedBatches;
    return (
      run.unackedSinceMs !== null && nowMs - run.unackedSinceMs > stuckMs && this.#options.worker.othersMayDoBetter()
    );
  }

  #isCurrent(run: SlotRun<W>): boolean {
    return this.#runs.get(run.slot) === run;
  }

  #dispatch(slot: Slot, event: SlotEvent): void {
    const before = this.#states[slot] ?? none;
    const { state, effects } = stepSlot(before, event);
    this.#states[slot] = state;
    if (event.kind === 'stuck') this.#givenBackAtMs.set(slot, this.#options.clock.monotonicMs()); // SD2
    if (state.kind !== before.kind) {
      this.#sinceMs[slot] = this.#options.clock.monotonicMs();
      this.#summary.changed(before.kind, state.kind);
    }
    if (before.kind === 'assigned' && state.kind === 'acquiring') this.#runs.set(slot, newSlotRun(slot));
    const run = this.#runs.get(slot);
    if (state.kind === 'none' || state.kind === 'assigned') this.#runs.delete(slot);
    for (const effect of effects) this.#perform(slot, run, effect);
    if (state.kind === before.kind) return;
    if (before.kind === 'active') this.#departures.left(slot);
    if (before.kind === 'releasing') this.#departures.released(slot);
    this.#summary.settle(this.#states);
    this.#options.worker.slotsChanged();
  }

  #perform(slot: Slot, run: SlotRun<W> | undefined, effect: SlotEffect): void {
    switch (effect.kind) {
      case 'claim': // `evaluate` sends one request for all slots that begin together
        return;
      case 'cancel-claim':
        run?.controller.abort(new Error('the claim was cancelled'));
        return;
      case 'begin':
        if (run !== undefined) run.beginning = this.#begin.run(run, effect.epoch, this.#reason(slot));
        return;
      case 'activate':
        this.#options.host.activate(slot);
        return;
      case 'release':
        if (run !== undefined) void this.#end.release(run);
        return;
      case 'write-release':
        void this.#end.writeRelease(slot, effect, this.#runs.get(slot)); // none: owed for a slot we do not run
        return;
      case 'drop':
        if (run !== undefined) void this.#end.drop(run);
        return;
      case 'want-rebalance':
        this.#options.worker.wantRebalance(`slot ${slot} has to be planned anew`);
    }
  }

  /** The number of the plan's reason for this slot's owner. */
  #reason(slot: Slot): number {
    return this.#plan?.slots[slot]?.reason ?? 0;
  }
}
