import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '../../core/clock.ts';
import { KafkaConnection, type KafkaOptions } from '../../core/kafka/connection.ts';
import { FencedWriter } from '../../core/kafka/fenced-writer.ts';
import { GroupMember, type GroupMemberOptions } from '../../core/kafka/group-member.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { noPeers, type Peers } from '../../core/kafka/peers.ts';
import { ProducerIds } from '../../core/kafka/producer-id.ts';
import { Producer } from '../../core/kafka/producer.ts';
import { alwaysWarm, type SlotHost, type Takeover, type WriterHooks } from '../../core/kafka/slot-host.ts';
import { TcpPeers } from '../../core/kafka/tcp-peers.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { systemRandom } from '../../core/random.ts';
import { type Slot } from '../../schemas/slot.ts';
import { groupOf, topicOf, transactionalIdOf } from '../../schemas/topics.ts';
import { WitnessDispatcher } from './fault-dispatcher.ts';
import { routeBy } from './fault-links.ts';
import { Witness, type WitnessStats } from './fault-witness.ts';
import { formerMember } from './former-member.ts';
import { HeedlessWriter, heedlessMs } from './fault-writer.ts';

/**
 * A member of the lock with everything real but the devices: its host writes the `owner` marker, and while a slot is
 * active one numbered value every 20 ms, which stands for what devices would send. It keeps what it did, as a witness.
 */
export interface LockMemberOptions {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly slots: number;
  readonly instanceId: string;
  readonly timers: LockTimers;
  readonly logger?: Logger;
  /** `host:port` of links by `host:port` of brokers. */
  readonly routes?: Readonly<Record<string, string>>;
  /** False: the host and its writers ignore the end of the lease for two seconds (`HeedlessWriter`). */
  readonly guard?: boolean;
  /** How far this member's wall clock is ahead. */
  readonly wallAheadMs?: number;
  /** False: it watches nobody, and nobody can watch it. */
  readonly peers?: boolean;
  /** True: it speaks only the form of reports that the version before spoke (`formerMember`). */
  readonly former?: boolean;
  /** Of produce requests; default: the product's. */
  readonly produceTimeoutMs?: number;
}

export interface HostEvent {
  readonly event: 'begin' | 'activate' | 'release' | 'drop';
  readonly slot: Slot;
  /** Wall clock of the machine, to compare its processes; whatever a test made of the process's own (`shifted-clock.cjs`). */
  readonly atMs: number;
  readonly epoch: string;
  readonly takeover?: { readonly fromEpoch: string; readonly fromSeq: string; readonly reason: string };
}

export function named(events: readonly HostEvent[], name: HostEvent['event']): HostEvent[] {
  return events.filter(({ event }) => event === name);
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

export async function createLockTopics(
  brokers: readonly string[],
  prefix: string,
  slots: number,
  replicationFactor = 1,
): Promise<void> {
  const connection = new KafkaConnection(kafkaFor(brokers, 'topics'), { name: 'topics', requestTimeoutMs: 20_000 });
  const topic = (name: 'devices' | 'telemetry' | 'ownership', partitions: number) => ({
    topic: topicOf(prefix, name),
    partitions,
    replicationFactor,
    configs: replicationFactor > 1 ? { 'min.insync.replicas': '2' } : {},
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
  readonly member: Pick<
    GroupMember<FencedWriter>,
    'start' | 'stop' | 'held' | 'leaseLive' | 'plan' | 'state' | 'commitOffset'
  >;
  readonly #options: LockMemberOptions;
  readonly #dispatcher: WitnessDispatcher;
  readonly #producerIds: ProducerIds;
  readonly #producer: Producer;
  readonly #witness = new Witness();
  readonly #writers = new Map<Slot, FencedWriter>();
  readonly #publishing = new Map<Slot, { cancel(): void }>();

  constructor(options: LockMemberOptions) {
    this.#options = options;
    const { brokers, prefix, slots, instanceId, timers, routes, produceTimeoutMs } = options;
    const kafka = { ...kafkaFor(brokers, instanceId), ...(routes === undefined ? {} : { route: routeBy(routes) }) };
    const shared = { kafka, clock: systemClock, logger: options.logger ?? silentLogger };
    const limits = produceTimeoutMs === undefined ? {} : { requestTimeoutMs: produceTimeoutMs };
    this.#dispatcher = new WitnessDispatcher({ ...shared, ...limits });
    this.#producerIds = new ProducerIds(shared);
    this.#producer = new Producer({ kafka });
    const incarnation = randomUUID();
    const group: GroupMemberOptions<FencedWriter> = {
      ...shared,
      clock: clockAhead(options.wallAheadMs ?? 0),
      groupId: groupOf(prefix, 'ingest'),
      role: 'ingest',
      topicPrefix: prefix,
      slots,
      instanceId,
      incarnation,
      zone: '',
      timers,
      host: this.#host,
      createWriter: (slot, epoch, hooks) => this.#createWriter(slot, epoch, hooks, shared),
      peers: options.peers === false ? noPeers : peersOf(incarnation, shared.logger),
      standby: alwaysWarm,
      producer: this.#producer,
      schemas: { idOf: () => 1 },
      random: systemRandom,
      onFatal: (error) => this.fatal.push(error),
    };
    this.member = options.former === true ? formerMember(group) : new GroupMember(group);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#dispatcher.start(signal);
    await this.#producer.start(signal);
    await this.member.start(signal);
  }

  async stop(): Promise<void> {
    await this.member.stop();
    for (const timer of this.#publishing.values()) timer.cancel();
    for (const writer of this.#writers.values()) if (writer instanceof HeedlessWriter) writer.end();
    await this.#producer.stop();
    await this.#dispatcher.stop();
    this.#producerIds.destroy();
  }

  stats(): WitnessStats {
    const { retriedBatches, reinits, fenced } = this.#dispatcher.counters;
    const { refusedTakenAtMs } = this.#dispatcher;
    const { epochs } = this.#witness;
    return {
      event: 'stats',
      instanceId: this.instanceId,
      epochs,
      refusedTakenAtMs,
      retriedBatches,
      reinits,
      fenced,
    };
  }

  get instanceId(): string {
    return this.#options.instanceId;
  }

  get #guarded(): boolean {
    return this.#options.guard ?? true;
  }

  readonly #host: SlotHost<FencedWriter> = {
    begin: async (slot, writer, takeover) => {
      this.#writers.set(slot, writer);
      this.#note('begin', slot, takeover);
      await this.#append(slot, writer, 'owner', '').acked;
    },
    activate: (slot) => {
      this.#note('activate', slot);
      const writer = this.#writers.get(slot);
      if (writer === undefined) return;
      let value = 0; // what a device would count
      const publish = (): void => this.#publish(slot, writer, () => (value += 1));
      this.#publishing.set(slot, systemClock.every(20, publish));
    },
    release: async (slot) => {
      this.#note('release', slot);
      this.#publishing.get(slot)?.cancel();
      const writer = this.#writers.get(slot);
      await writer?.flushed();
      return { lastSeq: writer?.lastSeq ?? null };
    },
    drop: async (slot) => {
      this.#note('drop', slot);
      const publishing = this.#publishing.get(slot);
      if (!this.#guarded) await systemClock.sleep(heedlessMs);
      publishing?.cancel();
    },
  };

  #createWriter(
    slot: Slot,
    epoch: bigint,
    hooks: WriterHooks,
    shared: { readonly kafka: KafkaOptions; readonly clock: Clock; readonly logger: Logger },
  ): FencedWriter {
    const options = {
      ...shared,
      ...hooks,
      slot,
      epoch,
      transactionalId: transactionalIdOf(this.#options.prefix, 'ingest', slot),
      dispatcher: this.#dispatcher,
      producerIds: this.#producerIds,
    };
    return this.#guarded ? new FencedWriter(options) : new HeedlessWriter(options, hooks);
  }

  #publish(slot: Slot, writer: FencedWriter, nextValue: () => number): void {
    if (this.#guarded && !this.member.leaseLive()) return;
    try {
      this.#append(slot, writer, 'data', String(nextValue()));
    } catch {
      this.#publishing.get(slot)?.cancel();
    }
  }

  #append(slot: Slot, writer: FencedWriter, kind: 'owner' | 'data', value: string): { readonly acked: Promise<void> } {
    const ticket = writer.appendNumbered(topicOf(this.#options.prefix, 'telemetry'), {
      key: Buffer.from(`slot/${slot}`),
      prefix: Buffer.alloc(6),
      value: Buffer.from(`${this.#options.instanceId} ${value}`),
      kind,
      rpc: 0,
      receivedAtNs: systemClock.nowNs(),
    });
    this.#witness.appended(slot, writer.epoch, writer.lastSeq, ticket.acked);
    return ticket;
  }

  #note(event: HostEvent['event'], slot: Slot, takeover?: Takeover): void {
    const noted: HostEvent = {
      event,
      slot,
      atMs: Math.round(performance.timeOrigin + performance.now()),
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

function clockAhead(wallAheadMs: number): Clock {
  if (wallAheadMs === 0) return systemClock;
  return {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + wallAheadMs,
    nowNs: () => systemClock.nowNs() + BigInt(wallAheadMs) * 1_000_000n,
  };
}

function peersOf(incarnation: string, logger: Logger): Peers {
  const at = { listen: '127.0.0.1:0', advertisedHost: '127.0.0.1' };
  return new TcpPeers({ ...at, incarnation, clock: systemClock, random: systemRandom, logger });
}
