import {
  type Answer,
  type Coordinator,
  type Joined,
  type JoinOrder,
  type Lane,
  type MemberRef,
  type ProbeProof,
  type Refusal,
  type SlotCommit,
  type SyncOrder,
} from '../../core/kafka/coordinator.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { type Timer } from '../../core/clock.ts';
import { type Random } from '../../core/random.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Code, type GroupView } from './simulated-group.ts';
import { type ProcessClock, type VirtualTime } from './virtual-time.ts';

/** The brokers as a process sees them: who coordinates, and whether the way there is open. */
export interface Brokers {
  /** The view that counts; null while none is elected. */
  readonly current: GroupView | null;
  /** A view that does not know that it was superseded. */
  readonly superseded: GroupView | null;
}

/** The way between one process and the brokers. */
export interface Path {
  /** Requests vanish. */
  cutOut: boolean;
  /** Answers vanish. */
  cutIn: boolean;
  /** The view that counts is out of reach, whatever the rest says. */
  cutFromCurrent: boolean;
  /** Joins and Syncs vanish, although everything else works. */
  joinsVanish: boolean;
  /** Fetches of `ownership` bring nothing, although everything else works. */
  readerStalls: boolean;
  /** Batches are on their way for so much longer than everything else. */
  batchDelayMs: number;
  /** Chance that a request or an answer vanishes. */
  loss: number;
  latencyMs(): number;
}

interface Pending {
  settle(): void;
}

interface LaneState {
  found: GroupView | null;
  failures: number;
  avoid: GroupView | null;
  readonly pending: Set<Pending>;
  /** Requests of a lane reach the broker in order, and are served one after the other. */
  arrivesAtMs: number;
  served: Promise<void>;
}

const refusals: Readonly<Record<Code, Refusal>> = {
  NONE: 'refused', // never asked for
  MEMBER_ID_REQUIRED: 'refused',
  UNKNOWN_MEMBER_ID: 'unknown-member',
  ILLEGAL_GENERATION: 'illegal-generation',
  REBALANCE_IN_PROGRESS: 'rebalance',
  INCONSISTENT_GROUP_PROTOCOL: 'fatal',
  NOT_COORDINATOR: 'lost',
  COORDINATOR_LOAD_IN_PROGRESS: 'lost',
};

const lost: Answer<never> = { kind: 'lost', error: new Error('lost') };

const refusedAnswers = new Map<Code, Answer<never>>();

/** Made once: an Error is dear, and schedules have thousands of refusals. */
function refused(code: Code): Answer<never> {
  const known = refusedAnswers.get(code);
  if (known !== undefined) return known;
  const made: Answer<never> = { kind: refusals[code], error: new Error(code) };
  refusedAnswers.set(code, made);
  return made;
}

/**
 * The port `Coordinator` of one simulated process: four lanes, each a connection of its own; requests and answers take
 * time, vanish, are served one by one. What `kafka-coordinator.ts` does over sockets (asking another broker after a
 * failure, forgetting a connection that was reset) is done here in few lines.
 */
export class SimulatedCoordinator implements Coordinator {
  /** Program versions: an old one speaks the first form only. */
  readonly #speaks: ReadonlySet<string> | null;
  readonly #time: VirtualTime;
  readonly #clock: ProcessClock;
  readonly #brokers: Brokers;
  readonly #path: Path;
  readonly #random: Random;
  readonly #timeoutMs: Readonly<Record<Lane, number>>;
  readonly #lanes: Record<Lane, LaneState>;

  constructor(options: {
    readonly time: VirtualTime;
    readonly clock: ProcessClock;
    readonly brokers: Brokers;
    readonly path: Path;
    readonly random: Random;
    readonly timers: LockTimers;
    readonly speaks: ReadonlySet<string> | null;
  }) {
    this.#time = options.time;
    this.#clock = options.clock;
    this.#brokers = options.brokers;
    this.#path = options.path;
    this.#random = options.random;
    this.#speaks = options.speaks;
    const { sessionTimeoutMs, heartbeatMs, rebalanceTimeoutMs } = options.timers;
    const beatMs = Math.min(2 * heartbeatMs, sessionTimeoutMs / 4);
    this.#timeoutMs = {
      join: rebalanceTimeoutMs + 5_000, // the member resets the lane long before
      group: sessionTimeoutMs / 4,
      heartbeat: beatMs,
      probe: beatMs,
    };
    const lane = (): LaneState => ({
      found: null,
      failures: 0,
      avoid: null,
      pending: new Set(),
      arrivesAtMs: 0,
      served: Promise.resolve(),
    });
    this.#lanes = { join: lane(), group: lane(), heartbeat: lane(), probe: lane() };
  }

  async join(order: JoinOrder): Promise<Answer<Joined>> {
    const protocols = order.protocols.filter(({ name }) => this.#speaks?.has(name) !== false);
    let memberId = order.memberId;
    for (;;) {
      const asked = memberId;
      const answer = await this.#ask<Joined | string>('join', (view, reply) =>
        view.join(asked, protocols, ({ code, memberId: id, generation, leader, members }) => {
          if (code === 'MEMBER_ID_REQUIRED') reply({ kind: 'ok', value: id });
          else if (code !== 'NONE') reply(refused(code));
          else reply({ kind: 'ok', value: { memberId: id, generation, leader: leader === id, members } });
        }),
      );
      if (answer.kind !== 'ok') return answer;
      if (typeof answer.value !== 'string') return { kind: 'ok', value: answer.value };
      memberId = answer.value;
      order.onMemberId(memberId);
    }
  }

  sync({ memberId, generation, plan }: SyncOrder): Promise<Answer<Buffer>> {
    const assignments = plan === null ? null : new Map([...plan.owned.keys()].map((id) => [id, plan.bytes]));
    return this.#ask('join', (view, reply) =>
      view.sync(memberId, generation, assignments, (code, bytes) =>
        reply(code === 'NONE' ? { kind: 'ok', value: bytes } : refused(code)),
      ),
    );
  }

  heartbeat({ memberId, generation }: MemberRef): Promise<Answer<null>> {
    return this.#askNow('heartbeat', (view) => view.heartbeat(memberId, generation));
  }

  probe({ memberId, generation }: MemberRef): Promise<Answer<ProbeProof>> {
    return this.#ask('probe', (view, reply) => {
      const code = view.commit(memberId, generation, []);
      if (code !== 'NONE' && code !== 'REBALANCE_IN_PROGRESS') {
        reply(refused(code));
        return;
      }
      const beat = view.heartbeat(memberId, generation);
      const awaitsPlan = code !== 'NONE';
      if (beat === 'REBALANCE_IN_PROGRESS') reply({ kind: 'ok', value: awaitsPlan ? 'nothing' : 'rebalance' });
      else if (beat !== 'NONE') reply(refused(beat));
      else if (awaitsPlan && view.superseded)
        reply(refused('NOT_COORDINATOR')); // the group beside
      else reply({ kind: 'ok', value: 'member' });
    });
  }

  commit({ memberId, generation }: MemberRef, commits: readonly SlotCommit[]): Promise<Answer<null>> {
    return this.#askNow('group', (view) => view.commit(memberId, generation, commits));
  }

  fetch(slots: readonly Slot[]): Promise<Answer<ReadonlyMap<Slot, SlotCommit>>> {
    return this.#ask('group', (view, reply) => {
      const value = view.fetch(slots);
      reply(value === null ? refused('COORDINATOR_LOAD_IN_PROGRESS') : { kind: 'ok', value });
    });
  }

  leave(memberId: string): Promise<Answer<null>> {
    return this.#askNow('group', (view) => view.leave(memberId));
  }

  reset(lane: Lane): void {
    const state = this.#lanes[lane];
    state.found = null;
    state.served = Promise.resolve();
    for (const pending of [...state.pending]) pending.settle();
  }

  destroy(): void {
    for (const lane of ['join', 'group', 'heartbeat', 'probe'] as const) this.reset(lane);
  }

  /** Every connection to this view ends: its broker is gone. */
  viewEnded(view: GroupView): void {
    for (const lane of ['join', 'group', 'heartbeat', 'probe'] as const) {
      if (this.#lanes[lane].found === view) this.reset(lane);
    }
  }

  #askNow(lane: Lane, request: (view: GroupView) => Code): Promise<Answer<null>> {
    return this.#ask(lane, (view, reply) => {
      const code = request(view);
      reply(code === 'NONE' ? { kind: 'ok', value: null } : refused(code));
    });
  }

  async #ask<T>(
    name: Lane,
    request: (view: GroupView, reply: (answer: Answer<T>) => void) => void,
  ): Promise<Answer<T>> {
    const lane = this.#lanes[name];
    const answer = await this.#exchange(name, lane, request);
    if (answer.kind === 'lost') {
      lane.failures += 1;
      if (name === 'probe' || lane.failures >= 2) lane.avoid = lane.found ?? lane.avoid;
      lane.found = null;
    } else {
      lane.failures = 0;
      if (answer.kind === 'ok') lane.avoid = null;
    }
    return answer;
  }

  #find(lane: LaneState): GroupView | null {
    const { current, superseded } = this.#brokers;
    if (superseded === null || superseded === lane.avoid) return current;
    if (current === null || current === lane.avoid || this.#path.cutFromCurrent) return superseded;
    return this.#random.next() < 0.5 ? superseded : current;
  }

  #exchange<T>(
    name: Lane,
    lane: LaneState,
    request: (view: GroupView, reply: (answer: Answer<T>) => void) => void,
  ): Promise<Answer<T>> {
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const finish = (answer: Answer<T>): void => {
        lane.pending.delete(pending);
        timer?.cancel();
        resolve(answer);
      };
      const pending: Pending = { settle: () => finish(lost) };
      lane.pending.add(pending);
      const timeoutMs = this.#timeoutMs[name];
      timer = this.#clock.after(timeoutMs, () => finish(lost));
      const view = (lane.found ??= this.#find(lane));
      if (view === null) {
        this.#later(() => finish(lost)); // nobody coordinates
        return;
      }
      if (this.#vanishes(view, this.#path.cutOut || (name === 'join' && this.#path.joinsVanish))) return;
      lane.arrivesAtMs = Math.max(lane.arrivesAtMs, this.#time.nowMs + this.#path.latencyMs());
      const answered = (answer: Answer<T>): void => {
        if (!this.#vanishes(view, this.#path.cutIn)) this.#later(() => finish(answer));
      };
      this.#time.at(lane.arrivesAtMs, () => {
        // One at a time: what is behind a pending Join waits for its answer.
        const before = lane.served;
        lane.served = new Promise<void>((done) => {
          void before.then(() => {
            if (view !== this.#brokers.current && view !== this.#brokers.superseded) {
              done();
              answered(lost);
              return;
            }
            request(view, (answer) => {
              done();
              answered(answer);
            });
          });
        });
      });
    });
  }

  #vanishes(view: GroupView, cut: boolean): boolean {
    if (cut || (this.#path.cutFromCurrent && view === this.#brokers.current)) return true;
    return this.#path.loss > 0 && this.#random.next() < this.#path.loss;
  }

  #later(run: () => void): void {
    this.#time.after(this.#path.latencyMs(), () => this.#clock.deliver(run));
  }
}
