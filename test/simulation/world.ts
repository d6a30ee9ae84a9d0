import { type SlotCommit } from '../../core/kafka/coordinator.ts';
import { parseClaim } from '../../core/kafka/claim.ts';
import { decodeHeldReport } from '../../core/kafka/held-report.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { seededRandom, type Random } from '../../core/random.ts';
import { type Slot } from '../../schemas/slot.ts';
import { GroupStore, GroupView } from './simulated-group.ts';
import { OwnershipTopic } from './simulated-log.ts';
import { SlotPartitions } from './simulated-partition.ts';
import { SimulatedWorker, type Surroundings } from './simulated-worker.ts';
import { VirtualTime } from './virtual-time.ts';

/**
 * The simulated world: processes, brokers, devices, and the checks of the invariants of the lock, made after every event.
 *
 * O1 no two workers that run have sessions of one slot open · O3 epochs of a slot strictly grow · O4, O5 what
 * the partition took is ordered by epoch, and seq 1, 2, 3 … within one · O7 nothing begins to be acquired between
 * JoinGroup and the plan · O11 nothing of a slot is in flight once its release is written · O12 a generation's reports
 * name everything that its members hold · O15 readers of `ownership` converge · O16 every slot is held again in time.
 */
export interface WorldOptions {
  readonly seed: number;
  readonly slots: number;
  readonly timers: LockTimers;
  readonly logger?: (worker: string) => Logger;
}

export class Violation extends Error {
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export class World {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly store = new GroupStore();
  readonly topic = new OwnershipTopic();
  readonly partitions = new SlotPartitions(this.topic);
  readonly workers: SimulatedWorker[] = [];
  readonly violations: Violation[] = [];
  /** Moments with two holders that the protocol documents: false evidence, the first moments of a paused machine. */
  excused = 0;
  current: GroupView | null;
  superseded: GroupView | null = null;
  latencyMsMax = 3;
  readonly options: WorldOptions;
  readonly #around: Surroundings;
  readonly #holders = new Map<Slot, Set<SimulatedWorker>>();
  readonly #contested = new Set<Slot>();
  readonly #begun = new Map<Slot, bigint>();
  readonly #registered = new Map<Slot, bigint>();
  readonly #checkedRecords = new Map<Slot, { at: number; epoch: bigint; seq: bigint }>();
  #ids = 0;
  #checkedOwnership = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = seededRandom(options.seed);
    const { timers, slots } = options;
    this.current = this.#view(0);
    this.#around = {
      time: this.time,
      brokers: this,
      topic: this.topic,
      partitions: this.partitions,
      random: this.random,
      timers,
      slots,
      latencyMs: () => 0.2 + this.random.next() * this.random.next() * this.latencyMsMax,
      others: (self) => this.workers.filter((worker) => worker !== self && worker.runs),
      witness: {
        begun: (worker, slot, epoch) => this.#onBegun(worker, slot, epoch),
        opened: (worker, slot) => this.#onOpened(worker, slot),
        closed: (worker, slot) => this.#onClosed(worker, slot),
      },
    };
  }

  add(
    instance: string,
    more: { readonly formats?: readonly number[]; readonly peerWatch?: boolean } = {},
  ): SimulatedWorker {
    const { random } = this;
    this.#ids += 1;
    const worker = new SimulatedWorker(
      this.#around,
      {
        instance,
        incarnation: `${instance}.${this.#ids}`,
        zone: `z${this.#ids % 2}`,
        // 200 ppm either way; wall clocks hours apart; every machine booted at another time.
        flaws: {
          rate: 1 + (random.next() - 0.5) * 4e-4,
          wallOffsetMs: (random.next() - 0.5) * 7_200_000,
          bootMs: random.next() * 1e6,
        },
        speaks: more.formats === undefined ? null : new Set(more.formats.map((format) => `holdfast-${format}`)),
        peerWatch: more.peerWatch ?? true,
      },
      this.options.logger?.(`${instance}.${this.#ids}`) ?? silentLogger,
    );
    this.workers.push(worker);
    worker.start();
    return worker;
  }

  /** Runs for `ms`, or until `done`; stops at the first violation. */
  async run(ms: number, done: () => boolean = () => false): Promise<void> {
    await this.time.run(this.time.nowMs + ms, () => {
      this.#check();
      return this.violations.length > 0 || done();
    });
  }

  get alive(): SimulatedWorker[] {
    return this.workers.filter((worker) => worker.runs && !worker.stopping);
  }

  /** Every slot is active at exactly one worker that may publish, everybody knows it, and nothing is on its way. */
  settled(): boolean {
    for (let slot = 0; slot < this.options.slots; slot += 1) {
      const holders = [...(this.#holders.get(slot) ?? [])];
      if (holders.length !== 1 || holders[0]?.holds(slot) !== true || !holders[0].lock.leaseLive()) return false;
    }
    return this.alive.every(({ lock }) => lock.state === 'member');
  }

  /** O16 */
  failLiveness(boundMs: number): void {
    const dark = Array.from({ length: this.options.slots }, (_, slot) => slot).filter((slot) => {
      const holders = [...(this.#holders.get(slot) ?? [])];
      return holders.length !== 1 || holders[0]?.holds(slot) !== true || !holders[0].lock.leaseLive();
    });
    const states = this.alive.map(({ incarnation, lock }) => `${incarnation} ${lock.state}`);
    this.#fail('O16', `${boundMs} ms after the last fault slots ${dark.join(',')} are not held (${states.join(', ')})`);
  }

  /** Everybody knows the same plan, and nobody is making another one. */
  agreed(): boolean {
    return this.settled() && new Set(this.alive.map(({ log }) => log.view.plan?.version)).size === 1;
  }

  // Faults of the brokers.

  /** The coordinator's broker dies; another one is elected and loads. */
  crashCoordinator(electionMs: number, loadMs: number): void {
    const dead = this.superseded ?? this.current;
    if (this.superseded !== null) this.superseded = null;
    else this.current = null;
    if (dead !== null) this.#endView(dead);
    if (this.current === null) this.time.after(electionMs, () => this.#elect(loadMs));
  }

  /** The coordinator's broker is cut off from the other brokers and does not know it. */
  supersede(electionMs: number, loadMs: number): void {
    if (this.superseded !== null || this.current === null) return;
    this.superseded = this.current;
    this.current = null;
    this.superseded.supersede();
    this.time.after(electionMs, () => this.#elect(loadMs));
  }

  /** The cut-off broker learns the truth. */
  endSuperseded(): void {
    const view = this.superseded;
    this.superseded = null;
    if (view !== null) this.#endView(view);
  }

  /** An empty group is forgotten: generations begin at 1 again, registers are gone. */
  forgetGroup(): boolean {
    if (this.current?.isEmpty !== true || this.superseded !== null) return false;
    this.store.forget();
    this.current = this.#view(0);
    return true;
  }

  #elect(loadMs: number): void {
    if (this.current === null) this.current = this.#view(loadMs);
  }

  #endView(view: GroupView): void {
    view.end();
    for (const worker of this.workers) worker.clock.deliver(() => worker.coordinator.viewEnded(view));
  }

  #view(loadMs: number): GroupView {
    const { time, store, options } = this;
    const witness = {
      formed: (_generation: number, members: readonly { memberId: string; report: Buffer }[]) =>
        this.#onFormed(members),
      committed: (memberId: string, commit: SlotCommit) => this.#onCommitted(memberId, commit),
      left: (memberId: string) => this.#onLeft(memberId),
    };
    return new GroupView(time, store, options.timers, witness, () => (this.#ids += 1), loadMs);
  }

  // What is seen.

  #fail(invariant: string, message: string): void {
    this.violations.push(new Violation(invariant, `${message} at ${this.time.nowMs.toFixed(1)} ms`));
  }

  #onBegun(worker: SimulatedWorker, slot: Slot, epoch: bigint): void {
    const before = this.#begun.get(slot);
    // What was answered while it stood still is acted upon before it looks at its clocks; it can publish nothing.
    if (before !== undefined && epoch <= before && this.time.nowMs <= worker.excusedUntilMs) return;
    if (before !== undefined && epoch <= before) this.#fail('O3', `slot ${slot}: epoch ${epoch} after ${before}`);
    this.#begun.set(slot, epoch);
  }

  #onCommitted(memberId: string, { slot, metadata }: SlotCommit): void {
    const claim = parseClaim(metadata);
    if (claim === null || claim.memberId === '') return; // given up: no claim
    const before = this.#registered.get(slot);
    if (before !== undefined && claim.epoch < before) {
      this.#fail('O3', `slot ${slot}: ${memberId} registered epoch ${claim.epoch} over ${before}`);
    }
    this.#registered.set(slot, claim.epoch);
  }

  /** Removed on false evidence, whenever that took effect: it may go on for what its lease has left (C9). */
  #onLeft(memberId: string): void {
    const victim = this.workers.find((worker) => worker.accused && worker.peers.isMember(memberId));
    if (victim === undefined || !victim.runs) return;
    const { sessionTimeoutMs, guardMs } = this.options.timers;
    victim.excusedUntilMs = Math.max(victim.excusedUntilMs, this.time.nowMs + sessionTimeoutMs - guardMs + 2_500);
  }

  #onOpened(worker: SimulatedWorker, slot: Slot): void {
    const holders = this.#holders.get(slot) ?? new Set();
    holders.add(worker);
    this.#holders.set(slot, holders);
    if (holders.size > 1) this.#contested.add(slot);
  }

  #onClosed(worker: SimulatedWorker, slot: Slot): void {
    const holders = this.#holders.get(slot);
    holders?.delete(worker);
    if ((holders?.size ?? 0) < 2) this.#contested.delete(slot);
  }

  /** O12: whoever joined holds nothing that its report does not name. */
  #onFormed(members: readonly { readonly memberId: string; readonly report: Buffer }[]): void {
    for (const { report } of members) {
      const said = decodeHeldReport(report);
      const worker = this.workers.find(({ incarnation }) => incarnation === said.incarnation);
      if (worker?.runs !== true || worker.clock.isStill) continue;
      for (const [slot, state] of worker.lock.slots.states.entries()) {
        if (state.kind === 'lost' && !said.held.has(slot) && !said.releasing.has(slot)) {
          this.#fail('O12', `${said.incarnation} joined while slot ${slot} was not closed`);
        }
        if (!(state.kind === 'active' || state.kind === 'releasing' || state.kind === 'acquiring')) continue;
        if (state.epoch === null) continue;
        const named = said.held.get(slot) ?? said.releasing.get(slot);
        if (named !== state.epoch) {
          this.#fail('O12', `${said.incarnation} holds ${slot}:${state.epoch} and reported ${named ?? 'nothing'}`);
        }
      }
    }
  }

  #check(): void {
    for (const slot of this.#contested) this.#checkHolders(slot);
    for (const worker of this.workers) this.#checkFreeze(worker);
    for (const slot of this.partitions.grown) this.#checkLog(slot);
    this.partitions.grown.clear();
    if (this.topic.end > this.#checkedOwnership) this.#checkReleases();
  }

  /** O1 */
  #checkHolders(slot: Slot): void {
    const valid = [...(this.#holders.get(slot) ?? [])].filter((worker) => worker.holds(slot));
    if (valid.length < 2) return;
    if (valid.filter(({ excusedUntilMs }) => this.time.nowMs > excusedUntilMs).length < 2) {
      this.excused += 1;
      return;
    }
    this.#fail('O1', `slot ${slot} is held by ${valid.map(({ incarnation }) => incarnation).join(' and ')}`);
  }

  /** O7 */
  #checkFreeze({ lock, incarnation, runs }: SimulatedWorker): void {
    if (!runs || lock.state === 'member') return;
    for (const [slot, state] of lock.slots.states.entries()) {
      if (state.kind === 'acquiring' && state.epoch === null) {
        this.#fail('O7', `${incarnation} is ${lock.state} and begins to acquire slot ${slot}`);
      }
    }
  }

  /** O4, O5: as a reader of the partition sees it. Where a producer id was renewed, the reader's own rule protects. */
  #checkLog(slot: Slot): void {
    const log = this.partitions.log(slot);
    const seen = this.#checkedRecords.get(slot) ?? { at: 0, epoch: 0n, seq: 0n };
    for (const record of log.slice(seen.at)) {
      if (record.epoch < seen.epoch) {
        const writer = this.workers.find(({ incarnation }) => incarnation === record.by);
        // Removed on false evidence, its lease is live: it takes the producer id again as a rightful owner would.
        if ((writer?.excusedUntilMs ?? 0) >= this.time.nowMs) this.excused += 1;
        else if (!this.partitions.renewed.has(slot)) {
          this.#fail('O4', `slot ${slot}: epoch ${record.epoch} was taken after ${seen.epoch}`);
        }
        continue;
      }
      if (record.epoch > seen.epoch) {
        if (record.seq !== 1n || record.kind !== 'owner') {
          this.#fail('O5', `slot ${slot}: epoch ${record.epoch} begins with ${record.kind} ${record.seq}`);
        }
        seen.epoch = record.epoch;
        seen.seq = 1n;
      } else if (record.seq > seen.seq + 1n) {
        this.#fail('O5', `slot ${slot}: ${record.epoch}:${record.seq} follows ${seen.seq}`);
      } else if (record.seq === seen.seq + 1n) seen.seq = record.seq;
    }
    seen.at = log.length;
    this.#checkedRecords.set(slot, seen);
  }

  /** O11 */
  #checkReleases(): void {
    for (const { offset, entry } of this.topic.from(this.#checkedOwnership)) {
      this.#checkedOwnership = offset + 1;
      if (!('slot' in entry) || entry.slot.state !== 'released' || entry.slot.lastSeq === 0n) continue;
      const { slot, epoch, lastSeq } = entry.slot;
      const last = this.partitions.log(slot).findLast((record) => record.epoch === epoch);
      if (last !== undefined && last.seq > lastSeq) {
        this.#fail('O11', `slot ${slot}: released at ${epoch}:${lastSeq}, the log has ${last.seq}`);
      }
    }
  }

  /** O15, when the world has been quiet: what readers know is the best that was ever written, and the log's last word. */
  checkConvergence(): void {
    const [first, ...others] = this.alive;
    if (first === undefined) return;
    for (let slot = 0; slot < this.options.slots; slot += 1) {
      const best = first.log.view.slot(slot);
      for (const other of others) {
        const known = other.log.view.slot(slot);
        if (known?.epoch !== best?.epoch || known?.state !== best?.state) {
          this.#fail('O15', `slot ${slot}: ${other.incarnation} and ${first.incarnation} know different records`);
        }
      }
      const last = this.topic.from(0).findLast(({ entry }) => entry.key === `slot/${slot}`)?.entry;
      if (last !== undefined && 'slot' in last && last.slot.epoch !== best?.epoch) {
        this.#fail('O15', `slot ${slot}: compaction would keep epoch ${last.slot.epoch}, readers know ${best?.epoch}`);
      }
    }
    const versions = new Set(this.alive.map(({ log }) => log.view.plan?.version));
    if (versions.size > 1) this.#fail('O15', `plans differ: ${[...versions].join(', ')}`);
  }
}
