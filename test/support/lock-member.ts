import { randomUUID } from 'node:crypto';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection, type KafkaOptions } from '../../core/kafka/connection.ts';
import { FencedWriter } from '../../core/kafka/fenced-writer.ts';
import { GroupMember } from '../../core/kafka/group-member.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { ProduceDispatcher } from '../../core/kafka/produce-dispatcher.ts';
import { ProducerIds } from '../../core/kafka/producer-id.ts';
import { Producer } from '../../core/kafka/producer.ts';
import { type SlotHost, type Takeover } from '../../core/kafka/slot-host.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { systemRandom } from '../../core/random.ts';
import { type Slot } from '../../schemas/slot.ts';
import { groupOf, topicOf, transactionalIdOf } from '../../schemas/topics.ts';

/**
 * A member of the lock with everything real but the devices: its host writes the `owner` marker, and while a slot is
 * active one numbered record every 20 ms, which stands for what devices would send.
 */
export interface LockMemberOptions {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly slots: number;
  readonly instanceId: string;
  readonly timers: LockTimers;
  readonly logger?: Logger;
}

export interface HostEvent {
  readonly event: 'begin' | 'activate' | 'release' | 'drop';
  readonly slot: Slot;
  /** Wall clock, to compare processes of one machine. */
  readonly atMs: number;
  readonly epoch: string;
  readonly takeover?: { readonly fromEpoch: string; readonly fromSeq: string; readonly reason: string };
}

export const fastTimers: LockTimers = {
  sessionTimeoutMs: 3_000,
  rebalanceTimeoutMs: 12_000,
  heartbeatMs: 200,
  guardMs: 300,
};

export function kafkaFor(brokers: readonly string[], clientId: string): KafkaOptions {
  return { brokers, clientId, logger: silentLogger, clock: systemClock };
}

export async function createLockTopics(brokers: readonly string[], prefix: string, slots: number): Promise<void> {
  const connection = new KafkaConnection(kafkaFor(brokers, 'topics'), { name: 'topics', requestTimeoutMs: 20_000 });
  const topic = (name: 'devices' | 'telemetry' | 'ownership', partitions: number) => ({
    topic: topicOf(prefix, name),
    partitions,
    replicationFactor: 1,
    configs: {},
  });
  try {
    await connection.createTopics([topic('devices', slots), topic('telemetry', slots), topic('ownership', 1)]);
  } finally {
    connection.destroy();
  }
}

export class LockMember {
  readonly events: HostEvent[] = [];
  readonly fatal: Error[] = [];
  onEvent: (event: HostEvent) => void = () => undefined;
  readonly member: GroupMember<FencedWriter>;
  readonly #options: LockMemberOptions;
  readonly #dispatcher: ProduceDispatcher;
  readonly #producerIds: ProducerIds;
  readonly #producer: Producer;
  readonly #writers = new Map<Slot, FencedWriter>();
  readonly #publishing = new Map<Slot, { cancel(): void }>();

  constructor(options: LockMemberOptions) {
    this.#options = options;
    const { brokers, prefix, slots, instanceId, timers } = options;
    const kafka = kafkaFor(brokers, instanceId);
    const shared = { kafka, clock: systemClock, logger: options.logger ?? silentLogger };
    this.#dispatcher = new ProduceDispatcher(shared);
    this.#producerIds = new ProducerIds(shared);
    this.#producer = new Producer({ kafka });
    this.member = new GroupMember<FencedWriter>({
      ...shared,
      groupId: groupOf(prefix, 'ingest'),
      role: 'ingest',
      topicPrefix: prefix,
      slots,
      instanceId,
      incarnation: randomUUID(),
      zone: '',
      timers,
      host: this.#host,
      createWriter: (slot, epoch, hooks) =>
        new FencedWriter({
          ...shared,
          ...hooks,
          slot,
          epoch,
          transactionalId: transactionalIdOf(prefix, 'ingest', slot),
          dispatcher: this.#dispatcher,
          producerIds: this.#producerIds,
        }),
      producer: this.#producer,
      schemas: { idOf: () => 1 },
      random: systemRandom,
      onFatal: (error) => this.fatal.push(error),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#dispatcher.start(signal);
    await this.#producer.start(signal);
    await this.member.start(signal);
  }

  async stop(): Promise<void> {
    await this.member.stop();
    for (const timer of this.#publishing.values()) timer.cancel();
    await this.#producer.stop();
    await this.#dispatcher.stop();
    this.#producerIds.destroy();
  }

  readonly #host: SlotHost<FencedWriter> = {
    begin: async (slot, writer, takeover) => {
      this.#writers.set(slot, writer);
      this.#note('begin', slot, takeover);
      await this.#append(slot, writer, 'owner').acked;
    },
    activate: (slot) => {
      this.#note('activate', slot);
      const writer = this.#writers.get(slot);
      if (writer !== undefined)
        this.#publishing.set(
          slot,
          systemClock.every(20, () => this.#publish(slot, writer)),
        );
    },
    release: async (slot) => {
      this.#note('release', slot);
      this.#publishing.get(slot)?.cancel();
      const writer = this.#writers.get(slot);
      await writer?.flushed();
      return { lastSeq: writer?.lastSeq ?? null };
    },
    drop: (slot) => {
      this.#note('drop', slot);
      this.#publishing.get(slot)?.cancel();
      return Promise.resolve();
    },
  };

  #publish(slot: Slot, writer: FencedWriter): void {
    if (!this.member.leaseLive()) return;
    try {
      this.#append(slot, writer, 'data').acked.catch(() => undefined);
    } catch {
      this.#publishing.get(slot)?.cancel();
    }
  }

  #append(slot: Slot, writer: FencedWriter, kind: 'owner' | 'data'): { readonly acked: Promise<void> } {
    return writer.appendNumbered(topicOf(this.#options.prefix, 'telemetry'), {
      key: Buffer.from(`slot/${slot}`),
      prefix: Buffer.alloc(6),
      value: Buffer.from(this.#options.instanceId),
      kind,
      rpc: 0,
      receivedAtNs: systemClock.nowNs(),
    });
  }

  #note(event: HostEvent['event'], slot: Slot, takeover?: Takeover): void {
    const noted: HostEvent = {
      event,
      slot,
      atMs: systemClock.nowMs(),
      epoch: String(this.#writers.get(slot)?.epoch ?? 0n),
      ...(takeover === undefined
        ? {}
        : {
            takeover: {
              fromEpoch: String(takeover.fromEpoch),
              fromSeq: String(takeover.fromSeq),
              reason: takeover.reason,
            },
          }),
    };
    this.events.push(noted);
    this.onEvent(noted);
  }
}
