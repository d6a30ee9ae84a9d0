import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedKafka, forgetKafka } from '../../cli/embedded-kafka.ts';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { offsetsPartitionOf } from '../../core/kafka/offsets-topic.ts';
import { groupOf } from '../../schemas/topics.ts';
import { eventually } from './eventually.ts';
import { BetweenBrokers } from './fault-between.ts';
import { FaultStage } from './fault-stage.ts';
import { kafkaFor } from './lock-member.ts';
import { testJars } from './test-cache.ts';

const { signal } = new AbortController();
/** As EmbeddedKafka sets it. */
const offsetsPartitions = 8;

export interface ClusterStage {
  readonly stage: FaultStage;
  /** Node id of the broker that coordinates the group. */
  readonly coordinator: number;
  readonly group: string;
}

/** Three brokers that reach each other through links, and stages on them. */
export class FaultCluster {
  readonly between = new BetweenBrokers();
  readonly kafka: EmbeddedKafka;
  readonly #dataDir: string;
  readonly #stages: FaultStage[] = [];
  #connection: KafkaConnection | undefined;

  private constructor(jarsDir: string, dataDir: string, properties: Readonly<Record<string, string>>) {
    this.#dataDir = dataDir;
    const { between } = this.between;
    this.kafka = new EmbeddedKafka({ jarsDir, dataDir, nodes: 3, properties, clock: systemClock, between });
  }

  static async start(properties: Readonly<Record<string, string>> = {}): Promise<FaultCluster> {
    const dataDir = await mkdtemp(join(tmpdir(), 'holdfast-faults-'));
    const cluster = new FaultCluster(await testJars(), dataDir, properties);
    await cluster.kafka.start(signal).catch(async (thrown: unknown) => {
      await cluster.stop();
      throw thrown;
    });
    const options = { name: 'test', requestTimeoutMs: 5_000 };
    cluster.#connection = new KafkaConnection(kafkaFor(cluster.brokers, 'test'), options);
    return cluster;
  }

  get brokers(): readonly string[] {
    return this.kafka.brokers;
  }

  coordinatorOf(group: string): Promise<number> {
    return eventually(`a coordinator of ${group}`, 20_000, () =>
      this.#connected.findCoordinator(group, 'group').then(({ nodeId }) => nodeId),
    );
  }

  /** A stage whose group is coordinated by a broker that does not control the cluster: one fault at a time. */
  async open(name: string, slots: number, timers: LockTimers): Promise<ClusterStage> {
    for (let attempt = 1; ; attempt += 1) {
      const prefix = `${name}-${attempt}.`;
      const group = groupOf(prefix, 'ingest');
      const coordinator = await this.coordinatorOf(group);
      if (coordinator === this.between.controllerId) continue;
      const replicated = { replicationFactor: 3, patienceMs: 3 * timers.sessionTimeoutMs + 20_000 };
      const stage = new FaultStage({ brokers: this.brokers, prefix, slots, timers, ...replicated });
      this.#stages.push(stage);
      await stage.createTopics();
      return { stage, coordinator, group };
    }
  }

  /** The first of `name-1`, `name-2`, … that shares a partition of the offsets topic with `group`, and so its coordinator. */
  groupBeside(group: string, name: string): string {
    for (let attempt = 1; ; attempt += 1) {
      if (partitionOf(`${name}-${attempt}`) === partitionOf(group)) return `${name}-${attempt}`;
    }
  }

  /**
   * A group of one at a broker, which never commits: what is written to a partition of the offsets topic and not
   * replicated holds up the heartbeats of all groups there, so it has to be in another partition than `group`. What
   * comes back sends one heartbeat.
   */
  async joinBystander(group: string, nodeId: number): Promise<() => Promise<void>> {
    for (let attempt = 1; ; attempt += 1) {
      const groupId = `bystander-${attempt}`;
      if (partitionOf(groupId) === partitionOf(group) || (await this.coordinatorOf(groupId)) !== nodeId) continue;
      const broker = await this.#connected.coordinator(groupId, 'group');
      const protocols = [{ name: 'p', metadata: Buffer.from('000100000000ffffffff', 'hex') }];
      const limits = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 60_000 };
      const { memberId, generation } = await broker.joinGroup({ groupId, memberId: '', ...limits, protocols });
      await broker.syncGroup({ groupId, memberId, generation }, [{ memberId, assignment: Buffer.from([0]) }]);
      return () => broker.heartbeat({ groupId, memberId, generation });
    }
  }

  /** Starts a node that was killed, and waits until every replica is in sync again. */
  async restart(nodeId: number): Promise<void> {
    await this.kafka.startNode(nodeId, signal);
    await eventually('every replica is in sync', 60_000, async () => {
      const found = await this.#connected.refreshMetadata(await this.#connected.listTopics());
      const partitions = found.flatMap((topic) => topic.partitions);
      return partitions.length > 0 && partitions.every(({ inSync, replicas }) => inSync.length === replicas.length);
    });
  }

  /** Ends the faults and the stages of one test. */
  async clear(): Promise<void> {
    this.between.heal();
    for (const stage of this.#stages.splice(0)) await stage.end();
  }

  async stop(): Promise<void> {
    this.#connection?.destroy();
    await this.kafka.stop();
    await this.between.close();
    await forgetKafka(this.#dataDir);
  }

  get #connected(): KafkaConnection {
    if (this.#connection === undefined) throw new Error('the cluster is not started');
    return this.#connection;
  }
}

const partitionOf = (groupId: string): number => offsetsPartitionOf(groupId, offsetsPartitions);
