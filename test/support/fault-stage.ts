import { setMaxListeners } from 'node:events';
import { systemClock } from '../../core/clock.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { LogReader } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { slotOwnershipCodec, type SlotOwnership } from '../../schemas/ownership.ts';
import { parseOwnershipKey, topicOf } from '../../schemas/topics.ts';
import { eventually } from './eventually.ts';
import { auditRecord, auditSlots, type AuditRecord, type SlotAudit } from './fault-audit.ts';
import { FaultChild, type FaultChildOptions } from './fault-child.ts';
import { holdingsOf, overlapsOf, type Holding } from './fault-holdings.ts';
import { brokersBehindLinks, type BrokerLinks } from './fault-links.ts';
import { type EpochWitness } from './fault-witness.ts';
import { testKafka } from './kafka.ts';
import { createLockTopics, fastTimers, kafkaFor, LockMember, type LockMemberOptions } from './lock-member.ts';

export interface FaultStageOptions {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly slots: number;
  readonly timers?: LockTimers;
  readonly replicationFactor?: number;
  /** How long `held` waits. */
  readonly patienceMs?: number;
}

type Extra = Partial<Omit<LockMemberOptions, 'brokers' | 'prefix' | 'slots' | 'instanceId'>>;

/** One group of lock members on a real Kafka: topics, members here and in processes, links, and the audit of it all. */
export class FaultStage {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly slots: number;
  readonly timers: LockTimers;
  readonly members: LockMember[] = [];
  readonly children: FaultChild[] = [];
  readonly #replicationFactor: number;
  readonly #patienceMs: number;
  readonly #closing: (() => unknown)[] = [];

  constructor(options: FaultStageOptions) {
    this.brokers = options.brokers;
    this.prefix = options.prefix;
    this.slots = options.slots;
    this.timers = options.timers ?? fastTimers;
    this.#replicationFactor = options.replicationFactor ?? 1;
    this.#patienceMs = options.patienceMs ?? 20_000;
  }

  /** On the Kafka of this test run, topics made. */
  static async create(slots: number): Promise<FaultStage> {
    const stage = new FaultStage({ ...testKafka(), slots });
    await stage.createTopics();
    return stage;
  }

  createTopics(): Promise<void> {
    return createLockTopics(this.brokers, this.prefix, this.slots, this.#replicationFactor);
  }

  /** Called in reverse order when the test is over. */
  onEnd(close: () => unknown): void {
    this.#closing.push(close);
  }

  async end(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closing.splice(0).reverse()) {
      await Promise.resolve()
        .then(close)
        .catch((thrown: unknown) => failures.push(thrown)); // what is left is closed all the same
    }
    if (failures.length > 0) throw failures[0];
  }

  async links(): Promise<BrokerLinks> {
    const links = await brokersBehindLinks(this.brokers);
    this.onEnd(() => links.close());
    return links;
  }

  /** Not started. */
  member(instanceId: string, extra: Extra = {}): LockMember {
    const member = new LockMember(this.#options(instanceId, extra));
    this.members.push(member);
    this.onEnd(() => member.stop());
    return member;
  }

  async start(instanceId: string, extra: Extra = {}): Promise<LockMember> {
    const member = this.member(instanceId, extra);
    await member.start(new AbortController().signal);
    return member;
  }

  child(instanceId: string, extra: Extra = {}, how: FaultChildOptions = {}): FaultChild {
    const child = new FaultChild(this.#options(instanceId, extra), how);
    this.children.push(child);
    this.onEnd(() => child.end());
    return child;
  }

  /** Waits until each holds so many slots. */
  async held(...expected: readonly (readonly [LockMember | FaultChild, number])[]): Promise<void> {
    const countOf = (who: LockMember | FaultChild): number =>
      who instanceof LockMember ? who.member.held().length : who.held.length;
    const counts = expected.map(([, count]) => count).join(' ');
    const asExpected = (): boolean => expected.every(([who, count]) => countOf(who) === count);
    await eventually(`slots held: ${counts}`, this.#patienceMs, asExpected).catch((thrown: unknown) => {
      const accounts = expected.flatMap(([who]) => (who instanceof FaultChild ? [who.account()] : []));
      throw new Error([String(thrown), ...accounts].join('\n'));
    });
  }

  /** FA1 … FA5 over the whole log, with what every member and every living child saw acked. */
  async audit(more: readonly EpochWitness[] = []): Promise<SlotAudit> {
    const witnesses: EpochWitness[] = [...more, ...this.members.flatMap((member) => member.stats().epochs)];
    for (const child of this.children) {
      if (child.goneAtMs === Number.POSITIVE_INFINITY) witnesses.push(...(await child.stats()).epochs);
    }
    return auditSlots(await this.telemetry(), witnesses);
  }

  /** O1 by the events of all members. */
  overlaps(): string[] {
    return overlapsOf(this.holdings());
  }

  holdings(): Holding[] {
    return [
      ...this.members.flatMap(({ events, instanceId }) => holdingsOf(instanceId, events)),
      ...this.children.flatMap(({ events, instanceId, goneAtMs }) => holdingsOf(instanceId, events, goneAtMs)),
    ];
  }

  /** Everything in a topic up to now. */
  async read<T>(
    topic: string,
    partitions: number,
    take: (key: string, value: Buffer, header: Buffer | null) => T,
  ): Promise<T[][]> {
    const found: T[][] = Array.from({ length: partitions }, () => []);
    const reader = new LogReader({
      kafka: kafkaFor(this.brokers, 'audit'),
      name: 'audit',
      clock: systemClock,
      logger: silentLogger,
      onBatch: ({ partition, records }) => {
        for (const { key, value, header } of records) {
          if (key !== null && value !== null) found[partition]?.push(take(key.toString(), value, header));
        }
      },
    });
    for (let partition = 0; partition < partitions; partition += 1) reader.assign(topic, partition, 'earliest');
    const { signal } = new AbortController();
    setMaxListeners(0, signal); // one waiter per partition is no leak
    await reader.start(signal);
    await Promise.all(found.map((_, partition) => reader.caughtUp(topic, partition, signal)));
    await reader.stop();
    return found;
  }

  /** Per slot, in the order of the log. */
  telemetry(): Promise<AuditRecord[][]> {
    return this.read(topicOf(this.prefix, 'telemetry'), this.slots, (_key, value, header) =>
      auditRecord(value, header ?? Buffer.alloc(0)),
    );
  }

  async ownership(): Promise<SlotOwnership[]> {
    const topic = topicOf(this.prefix, 'ownership');
    const [records = []] = await this.read(topic, 1, (key, value) =>
      parseOwnershipKey(key)?.kind === 'slot' ? slotOwnershipCodec.decode(decodeFrame(value).message) : null,
    );
    return records.filter((record) => record !== null);
  }

  #options(instanceId: string, extra: Extra): LockMemberOptions {
    const { brokers, prefix, slots, timers } = this;
    return { brokers, prefix, slots, timers, instanceId, ...extra };
  }
}
