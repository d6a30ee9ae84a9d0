import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { LockWorker } from '../../core/kafka/lock-worker.ts';
import { type Peer, type PeerListener, type Peers } from '../../core/kafka/peers.ts';
import { type SlotHost, type Standby } from '../../core/kafka/slot-host.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { type Random } from '../../core/random.ts';
import { type Slot } from '../../schemas/slot.ts';
import { SimulatedCoordinator, type Brokers, type Path } from './simulated-coordinator.ts';
import { SimulatedOwnershipLog, type OwnershipTopic } from './simulated-log.ts';
import { SimulatedWriter, type SlotPartitions } from './simulated-partition.ts';
import { ProcessClock, type ClockFlaws, type VirtualTime } from './virtual-time.ts';

/** What surrounds a simulated process, and who watches it. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly brokers: Brokers;
  readonly topic: OwnershipTopic;
  readonly partitions: SlotPartitions;
  readonly random: Random;
  readonly timers: LockTimers;
  readonly slots: number;
  readonly latencyMs: () => number;
  readonly witness: {
    begun(worker: SimulatedWorker, slot: Slot, epoch: bigint): void;
    opened(worker: SimulatedWorker, slot: Slot): void;
    closed(worker: SimulatedWorker, slot: Slot): void;
  };
  /** Every process that runs, for peer watch and nudges. */
  readonly others: (self: SimulatedWorker) => readonly SimulatedWorker[];
}

const dataEveryMs = 1_500;

/**
 * One simulated process: the real lock (`LockWorker` and everything below it) over simulated ports, and a host whose
 * sessions the world can see.
 */
export class SimulatedWorker {
  readonly instance: string;
  readonly incarnation: string;
  readonly clock: ProcessClock;
  readonly path: Path;
  readonly coordinator: SimulatedCoordinator;
  readonly log: SimulatedOwnershipLog;
  readonly lock: LockWorker<SimulatedWriter>;
  readonly sessions = new Set<Slot>();
  readonly fatal: Error[] = [];
  /** Until then it may hold beside another: documented for a false LeaveGroup and for a paused machine's first moments. */
  excusedUntilMs = Number.NEGATIVE_INFINITY;
  /** Until then its timers are later than half the guard. */
  stalledUntilMs = Number.NEGATIVE_INFINITY;
  /** Its machine was paused, and nobody in it may have noticed yet. */
  pausedUntilMs = Number.NEGATIVE_INFINITY;
  steppedAtMs = Number.NEGATIVE_INFINITY;
  /** Somebody has false evidence against it. */
  accused = false;
  stopping = false;
  stopped = false;
  readonly peers: SimulatedPeers;
  readonly #around: Surroundings;
  readonly #writers = new Map<Slot, SimulatedWriter>();
  readonly #preparedAtMs = new Map<Slot, number>();

  constructor(
    around: Surroundings,
    identity: {
      readonly instance: string;
      readonly incarnation: string;
      readonly zone: string;
      readonly flaws: ClockFlaws;
      readonly speaks: ReadonlySet<string> | null;
      readonly peerWatch: boolean;
    },
    logger: Logger = silentLogger,
  ) {
    this.#around = around;
    this.instance = identity.instance;
    this.incarnation = identity.incarnation;
    const { time, brokers, random, timers, topic, slots } = around;
    this.clock = new ProcessClock(time, identity.flaws);
    this.path = {
      cutOut: false,
      cutIn: false,
      cutFromCurrent: false,
      joinsVanish: false,
      readerStalls: false,
      batchDelayMs: 0,
      loss: 0,
      latencyMs: around.latencyMs,
    };
    const ports = { time, clock: this.clock, path: this.path, random };
    this.coordinator = new SimulatedCoordinator({ ...ports, brokers, timers, speaks: identity.speaks });
    this.log = new SimulatedOwnershipLog({ ...ports, topic });
    this.peers = new SimulatedPeers(this, around, identity.peerWatch);
    this.lock = new LockWorker<SimulatedWriter>({
      coordinator: this.coordinator,
      log: this.log,
      ends: { lastEpochs: (wanted) => this.#lastEpochs(wanted) },
      slots,
      host: this.#host,
      createWriter: (slot, epoch, hooks) =>
        new SimulatedWriter(slot, epoch, this.incarnation, hooks, { ...ports, partitions: around.partitions }),
      timers,
      self: { instance: this.instance, incarnation: this.incarnation, peer: '', zone: identity.zone },
      capacity: 100,
      peers: this.peers,
      standby: this.#standby,
      clock: this.clock,
      random,
      logger,
      onFatal: (error) => this.fatal.push(error),
    });
  }

  get runs(): boolean {
    return !this.clock.isDead && !this.stopped && this.fatal.length === 0;
  }

  start(): void {
    this.lock.start(new AbortController().signal).catch(() => undefined);
  }

  /** SIGTERM. */
  stop(): void {
    if (this.stopping || !this.runs) return;
    this.stopping = true;
    void this.lock.stop().then(() => {
      this.stopped = true;
      this.peers.died();
    });
  }

  /** SIGKILL: the kernel closes every socket, nobody says a word. */
  kill(): void {
    if (this.clock.isDead) return;
    this.clock.kill();
    this.log.end();
    for (const slot of [...this.sessions]) this.#close(slot);
    this.peers.died();
  }

  /**
   * Has sessions of the slot open, and is a live worker: it runs. One whose event loop stalls for longer than the guard
   * allows for counts as frozen, as long as its lease is over.
   */
  holds(slot: Slot): boolean {
    if (!this.sessions.has(slot) || !this.runs || this.clock.isStill) return false;
    return this.#around.time.nowMs > this.stalledUntilMs || this.lock.leaseLive();
  }

  readonly #host: SlotHost<SimulatedWriter> = {
    begin: async (slot, writer) => {
      this.#writers.set(slot, writer);
      this.#around.witness.begun(this, slot, writer.epoch);
      await writer.numbered('owner');
    },
    activate: (slot) => {
      const writer = this.#writers.get(slot);
      if (writer === undefined) return;
      this.sessions.add(slot);
      this.#around.witness.opened(this, slot);
      const timer = this.clock.every(dataEveryMs, () => {
        if (!this.sessions.has(slot) || this.#writers.get(slot) !== writer) timer.cancel();
        else if (this.lock.leaseLive() && !writer.hasEnded()) writer.numbered('data').catch(() => undefined);
      });
    },
    release: async (slot) => {
      this.#close(slot);
      const writer = this.#writers.get(slot);
      if (writer === undefined || writer.hasEnded()) return { lastSeq: null };
      writer.numbered('closed').catch(() => undefined);
      await writer.flushed();
      return { lastSeq: writer.hasEnded() ? null : writer.lastSeq };
    },
    drop: async (slot) => {
      const open = this.sessions.has(slot);
      this.#close(slot); // destroyed before this returns
      if (open) await this.clock.sleep(30); // a busy event loop and slow devices
    },
  };

  readonly #standby: Standby = {
    prepare: (wanted) => {
      for (const slot of this.#preparedAtMs.keys()) if (!wanted.has(slot)) this.#preparedAtMs.delete(slot);
      let fresh = false;
      for (const slot of wanted) {
        if (this.#preparedAtMs.has(slot)) continue;
        this.#preparedAtMs.set(slot, this.clock.monotonicMs());
        fresh = true;
      }
      if (fresh) this.clock.after(600, () => this.lock.warmed());
    },
    isWarm: (slot) => this.clock.monotonicMs() - (this.#preparedAtMs.get(slot) ?? Number.POSITIVE_INFINITY) >= 500,
    weightOf: (slot) => 1 + (slot % 3),
  };

  #close(slot: Slot): void {
    if (this.sessions.delete(slot)) this.#around.witness.closed(this, slot);
  }

  #lastEpochs(wanted: readonly Slot[]): Promise<ReadonlyMap<Slot, bigint>> {
    const { time, partitions } = this.#around;
    return new Promise((resolve) => {
      time.after(this.path.latencyMs(), () => {
        const found = new Map<Slot, bigint>();
        for (const slot of wanted) {
          const epoch = partitions.lastEpoch(slot);
          if (epoch !== undefined) found.set(slot, epoch);
        }
        time.after(this.path.latencyMs(), () => this.clock.deliver(() => resolve(found)));
      });
    });
  }
}

/** Peer watch between simulated processes: evidence of a death arrives milliseconds later, and of nothing else. */
class SimulatedPeers implements Peers {
  readonly address: string;
  readonly #self: SimulatedWorker;
  readonly #around: Surroundings;
  #listener: PeerListener | null = null;
  #memberId = '';
  #watched: readonly Peer[] = [];

  constructor(self: SimulatedWorker, around: Surroundings, works: boolean) {
    this.#self = self;
    this.#around = around;
    this.address = works ? self.incarnation : '';
  }

  start(listener: PeerListener): Promise<void> {
    this.#listener = listener;
    return Promise.resolve();
  }

  identify(memberId: string): void {
    this.#memberId = memberId;
  }

  watch(peers: readonly Peer[]): void {
    this.#watched = peers.filter(({ address }) => address !== '');
  }

  nudge(): void {
    for (const other of this.#around.others(this.#self)) {
      if (!this.#isConnected(other) && !other.peers.#isConnected(this.#self)) continue;
      this.#tell(other, (listener) => listener.nudged());
    }
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Our process is gone: whoever had a connection to this very member notices. */
  died(): void {
    for (const other of this.#around.others(this.#self)) {
      if (other.peers.#isConnected(this.#self)) this.#tell(other, (listener) => listener.gone(this.#memberId));
    }
  }

  /** False evidence, as a firewall that refuses on the victim's behalf gives it. */
  accuse(victim: SimulatedWorker): void {
    this.#listener?.gone(victim.peers.#memberId);
  }

  isMember(memberId: string): boolean {
    return this.#memberId === memberId;
  }

  #isConnected(other: SimulatedWorker): boolean {
    return this.#watched.some(
      ({ incarnation, memberId }) => incarnation === other.incarnation && memberId === other.peers.#memberId,
    );
  }

  #tell(other: SimulatedWorker, say: (listener: PeerListener) => void): void {
    this.#around.time.after(this.#around.latencyMs(), () =>
      other.clock.deliver(() => {
        const listener = other.peers.#listener;
        if (listener !== null && other.runs) say(listener);
      }),
    );
  }
}
