import { Backoff } from '../backoff.ts';
import { messageOf } from '../errors.ts';
import { RateLimited } from '../logger.ts';
import { systemRandom, type Random } from '../random.ts';
import { BrokerHandle } from './broker-handle.ts';
import { type BrokerAddress, type LinkLimits } from './broker-link.ts';
import { ClusterMetadata, readMetadata, type TopicMetadata, writeMetadataRequest } from './cluster-metadata.ts';
import { isDenied, KafkaError, kafkaError, kafkaErrorOfCode } from './errors.ts';
import { brokerAddress, type KafkaOptions } from './kafka-options.ts';
import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

export { kafkaOptionsOf, type KafkaOptions } from './kafka-options.ts';
export { type BrokerHandle } from './broker-handle.ts';
export { type TopicMetadata } from './cluster-metadata.ts';

/**
 * A cluster through connections of its own: the unit of isolation, because a broker serves the requests of one
 * connection strictly one after the other. Knows which broker leads what; a handle per broker does the talking.
 *
 * Nothing here repeats a request except `connect`: who calls knows whether a repeat is safe. Every failure of a
 * connection has already destroyed it, so the caller asks for metadata or the coordinator again and goes on.
 */
export type CoordinatorKind = 'group' | 'transaction';

export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly configs: Readonly<Record<string, string>>;
}

export interface TopicConfigs {
  readonly topic: string;
  /** Kafka's error code; 0 is none. */
  readonly code: number;
  readonly values: ReadonlyMap<string, string | null>;
}

export class KafkaConnection {
  readonly #options: KafkaOptions;
  readonly #limits: LinkLimits;
  readonly #random: Random;
  /** By `host:port`; seeds and brokers of the metadata alike. */
  readonly #handles = new Map<string, BrokerHandle>();
  /** Brokers that did not answer when they were last asked for metadata or a coordinator. */
  readonly #unanswered = new Set<BrokerHandle>();
  #cluster: ClusterMetadata | undefined;
  #nextSeed = 0;

  /** Inert until used. */
  constructor(options: KafkaOptions, limits: LinkLimits, random: Random = systemRandom) {
    this.#options = options;
    this.#limits = limits;
    this.#random = random;
  }

  /** Resolves once a broker has answered; keeps trying until the signal aborts or a broker refuses who we are. */
  async connect(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff({ initialMs: 100, maxMs: 3_000, factor: 2, jitter: 0.5 });
    const limited = new RateLimited();
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.refreshMetadata([]);
        return;
      } catch (thrown) {
        const error = kafkaError(thrown);
        if (isDenied(error)) throw error;
        const suppressed = limited.pass('connect', clock.monotonicMs());
        if (suppressed !== undefined) {
          const fields = { connection: this.#limits.name, cause: messageOf(error), suppressed };
          logger.warn(fields, 'kafka connect failed, trying again');
        }
      }
      await clock.sleep(backoff.nextMs(this.#random), signal);
    }
  }

  /** Ends every connection now; requests in flight reject. May be used again: the next request connects. */
  destroy(why = 'connection was let go'): void {
    for (const handle of this.#handles.values()) handle.disconnect(why);
  }

  /** As `destroy`: nothing that matters is sent without being awaited, so there is nothing to wait for. */
  disconnect(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  /** Asks a broker. An unknown topic or a missing leader is in the answer, not an error. `[]` asks for brokers only. */
  async refreshMetadata(topics: readonly string[]): Promise<readonly TopicMetadata[]> {
    const body = writeMetadataRequest(topics);
    const answer = readMetadata(await this.#anyBroker((broker) => broker.send(3, 6, body)));
    const cluster = (this.#cluster ??= new ClusterMetadata());
    cluster.apply(answer);
    this.#forgetUnlisted(cluster);
    return answer.topics;
  }

  /** Names of all topics we may see. */
  async listTopics(): Promise<readonly string[]> {
    const answer = readMetadata(await this.#anyBroker((broker) => broker.send(3, 6, writeMetadataRequest(null))));
    return answer.topics.filter(({ code }) => code === 0).map(({ topic }) => topic);
  }

  /** The cached metadata of the topics, from a broker where one is missing. */
  async metadata(topics: readonly string[]): Promise<readonly TopicMetadata[]> {
    const cached = topics.map((topic) => this.#cluster?.topic(topic)).filter((found) => found !== undefined);
    return cached.length === topics.length && topics.length > 0 ? cached : this.refreshMetadata(topics);
  }

  /** Node id of the leader in the cached metadata; undefined: unknown or none, so refresh. */
  leaderOf(topic: string, partition: number): number | undefined {
    return this.#cluster?.leaderOf(topic, partition);
  }

  /** Throws a retriable `KafkaError` when the node is not in the cached metadata. */
  broker(nodeId: number): BrokerHandle {
    const node = this.#cluster?.node(nodeId);
    if (node === undefined) {
      const rest = { retriable: true, staleMetadata: true };
      throw new KafkaError('protocol', 'BROKER_UNKNOWN', `broker ${nodeId} is not in the metadata`, rest);
    }
    return this.#handle(node.host, node.port);
  }

  /** A broker that is known to be there by other means than the metadata. */
  brokerAt({ host, port }: BrokerAddress): BrokerHandle {
    return this.#handle(host, port);
  }

  /** Node ids of the cached metadata. */
  get nodeIds(): readonly number[] {
    return this.#cluster?.nodeIds() ?? [];
  }

  /**
   * The coordinator of a group or transactional id, as one broker says. `exceptNodeId`: ask another broker than this one,
   * if there is one (a superseded coordinator names itself).
   */
  async coordinator(key: string, kind: CoordinatorKind, exceptNodeId?: number): Promise<BrokerHandle> {
    return (await this.findCoordinator(key, kind, exceptNodeId)).broker;
  }

  /** As `coordinator`, with the node id. */
  async findCoordinator(
    key: string,
    kind: CoordinatorKind,
    exceptNodeId?: number,
  ): Promise<{ nodeId: number; broker: BrokerHandle }> {
    const body = new RequestBody()
      .string(key)
      .int8(kind === 'group' ? 0 : 1)
      .build();
    const bytes = await this.#anyBroker((broker) => broker.send(10, 2, body), exceptNodeId);
    const answer = new ResponseBody(bytes);
    answer.int32(); // throttle time
    const code = answer.int16();
    answer.nullableString(); // message
    if (code !== 0) throw kafkaErrorOfCode(code, `the coordinator of ${kind} ${key}`);
    const nodeId = answer.int32();
    const host = answer.string();
    return { nodeId, broker: this.#handle(host, answer.int32()) };
  }

  /** Asks for metadata first when there is none. */
  async clusterId(): Promise<string> {
    return (await this.#known()).clusterId;
  }

  async brokerCount(): Promise<number> {
    return (await this.#known()).nodeIds().length;
  }

  /** Answers per topic, with Kafka's code and message; code 36 is TOPIC_ALREADY_EXISTS. */
  async createTopics(
    topics: readonly NewTopic[],
    timeoutMs = 30_000,
  ): Promise<readonly { readonly topic: string; readonly code: number; readonly message: string }[]> {
    const body = new RequestBody()
      .array(topics, (item, { topic, partitions, replicationFactor, configs }) =>
        item
          .string(topic)
          .int32(partitions)
          .int16(replicationFactor)
          .array([], () => undefined)
          .array(Object.entries(configs), (entry, [name, value]) => entry.string(name).string(value)),
      )
      .int32(timeoutMs)
      .boolean(false)
      .build();
    const controller = await this.#controller();
    const answer = new ResponseBody(await controller.send(19, 3, body, timeoutMs + 5_000));
    answer.int32(); // throttle time
    return answer.array((item) => ({ topic: item.string(), code: item.int16(), message: item.string() }));
  }

  /** All settings of each topic. */
  async describeConfigs(topics: readonly string[]): Promise<readonly TopicConfigs[]> {
    return this.#describe(2, topics);
  }

  /** All settings of a broker, by node id: what tests and start-up checks look up. */
  async describeBrokerConfigs(nodeId: number): Promise<ReadonlyMap<string, string | null>> {
    const [found] = await this.#describe(4, [`${nodeId}`], this.broker(nodeId));
    if (found === undefined || found.code !== 0)
      throw kafkaErrorOfCode(found?.code ?? -1, `settings of broker ${nodeId}`);
    return found.values;
  }

  async #describe(type: number, names: readonly string[], at?: BrokerHandle): Promise<readonly TopicConfigs[]> {
    const body = new RequestBody()
      .array(names, (item, name) => item.int8(type).string(name).int32(-1)) // -1: every setting
      .boolean(false)
      .build();
    const send = (broker: BrokerHandle): Promise<Buffer> => broker.send(32, 2, body);
    const answer = new ResponseBody(at === undefined ? await this.#anyBroker(send) : await send(at));
    answer.int32(); // throttle time
    return answer.array((item) => {
      const code = item.int16();
      item.nullableString(); // message
      item.int8(); // type
      return { code, topic: item.string(), values: new Map(item.array(readConfig)) };
    });
  }

  async #known(): Promise<ClusterMetadata> {
    if (this.#cluster === undefined) await this.refreshMetadata([]);
    return this.#cluster ?? new ClusterMetadata();
  }

  async #controller(): Promise<BrokerHandle> {
    await this.refreshMetadata([]);
    return this.broker((await this.#known()).controllerId);
  }

  /** Tries brokers until one answers: those with a connection first, seeds in turn last. */
  async #anyBroker(ask: (broker: BrokerHandle) => Promise<Buffer>, exceptNodeId?: number): Promise<Buffer> {
    let last: unknown;
    for (const broker of this.#candidates(exceptNodeId)) {
      try {
        const answer = await ask(broker);
        this.#unanswered.delete(broker);
        return answer;
      } catch (thrown) {
        last = thrown;
        if (kafkaError(thrown).kind === 'denied') throw thrown;
        if (kafkaError(thrown).kind !== 'protocol') this.#unanswered.add(broker);
      }
    }
    throw kafkaError(last, 'no broker to ask');
  }

  #candidates(exceptNodeId: number | undefined): BrokerHandle[] {
    const seeds = this.#options.brokers.map(brokerAddress);
    const turned = [...seeds.slice(this.#nextSeed), ...seeds.slice(0, this.#nextSeed)];
    this.#nextSeed = (this.#nextSeed + 1) % Math.max(seeds.length, 1);
    const nodes = this.#cluster?.nodes() ?? [];
    const handles = new Set([...nodes, ...turned].map(({ host, port }) => this.#handle(host, port)));
    const avoided = exceptNodeId === undefined ? undefined : this.#cluster?.node(exceptNodeId);
    const avoid = avoided === undefined ? undefined : this.#handle(avoided.host, avoided.port);
    // A broker that answers nobody costs its whole timeout each time: the others are asked first.
    const rank = (handle: BrokerHandle): number =>
      handle === avoid ? 3 : this.#unanswered.has(handle) ? 2 : handle.connected ? 0 : 1;
    return [...handles].sort((a, b) => rank(a) - rank(b));
  }

  #handle(host: string, port: number): BrokerHandle {
    const key = `${host}:${port}`;
    let handle = this.#handles.get(key);
    if (handle === undefined) {
      handle = new BrokerHandle({ host, port }, this.#options, this.#limits);
      this.#handles.set(key, handle);
    }
    return handle;
  }

  /** Brokers that left the cluster lose their connection; seeds stay, they may be names of brokers. */
  #forgetUnlisted(cluster: ClusterMetadata): void {
    const keep = new Set(cluster.nodes().map(({ host, port }) => `${host}:${port}`));
    for (const seed of this.#options.brokers.map(brokerAddress)) keep.add(`${seed.host}:${seed.port}`);
    for (const [key, handle] of this.#handles) {
      if (keep.has(key)) continue;
      handle.disconnect('the broker left the cluster');
      this.#handles.delete(key);
      this.#unanswered.delete(handle);
    }
  }
}

function readConfig(entry: ResponseBody): [string, string | null] {
  const name = entry.string();
  const value = entry.nullableString();
  entry.boolean(); // read only
  entry.int8(); // source
  entry.boolean(); // sensitive
  entry.array((synonym) => {
    synonym.string();
    synonym.nullableString();
    return synonym.int8();
  });
  return [name, value];
}
