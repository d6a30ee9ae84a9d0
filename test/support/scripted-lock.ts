import { type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { deferred } from '../../core/deferred.ts';
import {
  type Answer,
  type Coordinator,
  type Joined,
  type JoinOrder,
  type MemberRef,
  type ProbeProof,
  type Refusal,
  type SlotCommit,
  type SyncOrder,
} from '../../core/kafka/coordinator.ts';
import { type OwnershipListener, type OwnershipLog, type Wish } from '../../core/kafka/ownership-log.ts';
import { type Peer, type PeerListener, type Peers } from '../../core/kafka/peers.ts';
import { OwnershipView } from '../../core/kafka/ownership-view.ts';
import { type SlotHost, type SlotWriter, type Takeover, type WriterHooks } from '../../core/kafka/slot-host.ts';
import { type FakeClock } from './fake-clock.ts';

/**
 * The ports of the lock, spoken by a test: a coordinator with one member, an `ownership` log in memory, a writer and a host
 * that note what happens to them. Every call is one line of `story`.
 */
export class Story {
  readonly lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
  }

  /** What was said since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

export const refusal = (kind: Refusal): { kind: Refusal; error: Error } => ({ kind, error: new Error(kind) });

export class ScriptedCoordinator implements Coordinator {
  readonly registers = new Map<Slot, SlotCommit>();
  /** Nobody is there: every request is lost after 20 ms. */
  away = false;
  /** Answers of commits that name slots, first to last; then `ok`. */
  readonly commitAnswers: (Refusal | 'ok')[] = [];
  /** Set: commits and fetches are answered when it resolves. */
  hold: Promise<unknown> | null = null;
  generation = 0;
  readonly #clock: FakeClock;
  readonly #story: Story;

  constructor(clock: FakeClock, story: Story) {
    this.#clock = clock;
    this.#story = story;
  }

  join({ protocols }: JoinOrder): Promise<Answer<Joined>> {
    return this.#answer(() => {
      this.generation += 1;
      const memberId = `m-${this.generation}`;
      const report = protocols[0]?.report ?? Buffer.alloc(0);
      this.#story.say(`join ${memberId}`);
      return { memberId, generation: this.generation, leader: true, members: [{ memberId, report }] };
    });
  }

  sync({ plan }: SyncOrder): Promise<Answer<Buffer>> {
    return this.#answer(() => plan?.bytes ?? Buffer.alloc(0));
  }

  heartbeat(_member: MemberRef): Promise<Answer<null>> {
    return this.#answer(() => null);
  }

  probe(_member: MemberRef): Promise<Answer<ProbeProof>> {
    return this.#answer(() => 'member' as const);
  }

  async commit(_member: MemberRef, commits: readonly SlotCommit[]): Promise<Answer<null>> {
    for (const { slot, metadata } of commits) this.#story.say(`commit ${slot} ${metadata}`);
    if (this.hold !== null) await this.hold;
    const kind = this.commitAnswers.shift() ?? 'ok';
    if (kind !== 'ok') return refusal(kind);
    return this.#answer(() => {
      for (const commit of commits) this.registers.set(commit.slot, commit);
      return null;
    });
  }

  async fetch(slots: readonly Slot[]): Promise<Answer<ReadonlyMap<Slot, SlotCommit>>> {
    this.#story.say(`fetch ${slots.join(',')}`);
    if (this.hold !== null) await this.hold;
    return this.#answer(
      () => new Map([...this.registers].filter(([slot]) => slots.includes(slot))) as ReadonlyMap<Slot, SlotCommit>,
    );
  }

  leave(memberId: string): Promise<Answer<null>> {
    return this.#answer(() => {
      this.#story.say(`leave ${memberId}`);
      return null;
    });
  }

  reset(): void {
    // Nothing is kept.
  }

  destroy(): void {
    // Nothing is kept.
  }

  async #answer<T>(value: () => T): Promise<Answer<T>> {
    if (!this.away) return { kind: 'ok', value: value() };
    await this.#clock.sleep(20);
    return refusal('lost');
  }
}

export class MemoryOwnershipLog implements OwnershipLog {
  readonly view = new OwnershipView();
  reconnects = 0;
  /** Writes are refused. */
  broken = false;
  #listener: OwnershipListener | null = null;
  readonly #story: Story;

  constructor(story: Story) {
    this.#story = story;
  }

  start(listener: OwnershipListener): Promise<void> {
    this.#listener = listener;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  readToEnd(): Promise<void> {
    return Promise.resolve();
  }

  reconnect(): void {
    this.reconnects += 1;
  }

  writeSlot(record: SlotOwnership): Promise<void> {
    if (this.broken) return Promise.reject(new Error('no leader'));
    this.#story.say(`${record.state} ${record.slot} ${record.epoch} seq ${record.lastSeq}`);
    this.append(record);
    return Promise.resolve();
  }

  writePlan(plan: Plan): Promise<void> {
    this.view.applyPlan(plan);
    return Promise.resolve();
  }

  withdraw(wish: Wish): Promise<void> {
    this.#story.say(`withdraw ${wish.kind} ${wish.kind === 'drain' ? wish.instance : wish.slot}`);
    if (wish.kind === 'drain') this.view.applyDrain(wish.instance, null);
    else this.view.applyPlace(wish.slot, null);
    return Promise.resolve();
  }

  recordOf(record: SlotOwnership): ReturnType<OwnershipLog['recordOf']> {
    const value = Buffer.from(`${record.state} ${record.slot}`);
    return { topic: 'ownership', record: { key: Buffer.alloc(0), value, header: null, timestampMs: 0 } };
  }

  /** As if it had been read. */
  append(record: SlotOwnership): void {
    if (this.view.applySlot(record) === 'changed') this.#listener?.slotChanged(record);
  }
}

/** Acks at once, unless `hold` is set. */
export class ScriptedWriter implements SlotWriter {
  readonly epoch: bigint;
  readonly hooks: WriterHooks;
  hold: Promise<void> | null = null;
  stopped = false;
  /** What `progress` says. */
  acks = { unacked: false, ackedBatches: 0 };
  /** Rejects when it is stopped, as its tickets do. */
  readonly ended = deferred<never>();
  readonly #story: Story;

  constructor(epoch: bigint, hooks: WriterHooks, story: Story) {
    this.epoch = epoch;
    this.hooks = hooks;
    this.#story = story;
    this.ended.promise.catch(() => undefined);
  }

  start(): Promise<void> {
    this.#story.say('writer start');
    return Promise.resolve();
  }

  append(
    _topic: string,
    _partition: number,
    records: readonly { readonly value: Buffer | null }[],
  ): {
    readonly acked: Promise<void>;
  } {
    for (const { value } of records) this.#story.say(`append ${value?.toString()}`);
    return { acked: this.hold ?? Promise.resolve() };
  }

  progress(): { unacked: boolean; ackedBatches: number } {
    return this.acks;
  }

  stop(): number {
    if (!this.stopped) this.#story.say('writer stop');
    this.stopped = true;
    this.ended.reject(new Error('stopped'));
    return 0;
  }
}

export class ScriptedHost implements SlotHost<ScriptedWriter> {
  readonly takeovers: Takeover[] = [];
  readonly writers: ScriptedWriter[] = [];
  /** Set: `begin` ends with it. */
  hold: Promise<void> | null = null;
  /** Set: sessions are gone when it resolves. */
  closing: Promise<void> | null = null;
  lastSeq: bigint | null = 7n;
  readonly #story: Story;
  readonly #clock: FakeClock;

  constructor(story: Story, clock: FakeClock) {
    this.#story = story;
    this.#clock = clock;
  }

  begin(slot: Slot, writer: ScriptedWriter, takeover: Takeover): Promise<void> {
    this.#story.say(`begin ${slot}`);
    this.takeovers.push(takeover);
    this.writers.push(writer);
    const begun = Promise.race([this.hold ?? Promise.resolve(), writer.ended.promise]);
    return begun.finally(() => this.#story.say(`begun ${slot}`));
  }

  activate(slot: Slot): void {
    this.#story.say(`activate ${slot}`);
  }

  release(slot: Slot): Promise<{ readonly lastSeq: bigint | null }> {
    this.#story.say(`release ${slot}`);
    return Promise.resolve({ lastSeq: this.lastSeq });
  }

  drop(slot: Slot): Promise<void> {
    this.#story.say(`drop ${slot} at ${this.#clock.monotonicMs()}`);
    return this.closing ?? Promise.resolve();
  }
}

/** Notes who is watched and how often others were hurried; the test says who is gone. */
export class ScriptedPeers implements Peers {
  readonly address = '127.0.0.1:1';
  watched: readonly Peer[] = [];
  identity = '';
  nudges = 0;
  stopped = false;
  listener: PeerListener | null = null;

  start(listener: PeerListener): Promise<void> {
    this.listener = listener;
    return Promise.resolve();
  }

  identify(memberId: string): void {
    this.identity = memberId;
  }

  watch(peers: readonly Peer[]): void {
    this.watched = peers;
  }

  nudge(): void {
    this.nudges += 1;
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }
}

/** A promise that never settles. */
export const never: Promise<never> = deferred<never>().promise;
