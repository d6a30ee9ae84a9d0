import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { eventually } from './eventually.ts';

/**
 * Writes records and makes topics with another client than ours, so that what a test reads was not written by the code
 * it tests. Whoever opens one closes it.
 */
export interface PlainRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer>>;
  readonly timestampMs?: number;
}

export class PlainProducer {
  readonly #kafka: Kafka;
  readonly #producer: ReturnType<Kafka['producer']>;
  readonly #admin: ReturnType<Kafka['admin']>;

  constructor(brokers: readonly string[]) {
    this.#kafka = new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING });
    this.#producer = this.#kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    this.#admin = this.#kafka.admin();
  }

  async open(): Promise<this> {
    await Promise.all([this.#producer.connect(), this.#admin.connect()]);
    return this;
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.disconnect(), this.#admin.disconnect()]);
  }

  async createTopic(topic: string, partitions: number, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await this.#admin.createTopics({
      waitForLeaders: false, // kafkajs' own wait gives up while the topic is not known to the broker yet
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
    });
    await eventually(`leaders of ${topic}`, 15_000, async () => {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] });
      const known = topics[0]?.partitions ?? [];
      return known.length === partitions && known.every(({ leader }) => leader >= 0);
    });
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  /** Resolves with the base offset. All records in one batch. */
  async send(topic: string, partition: number, records: readonly PlainRecord[], gzip = false): Promise<bigint> {
    const [metadata] = await this.#producer.send({
      topic,
      compression: gzip ? CompressionTypes.GZIP : CompressionTypes.None,
      messages: records.map(({ key, value, headers, timestampMs }) => ({
        key,
        value,
        partition,
        ...(headers === undefined ? {} : { headers: { ...headers } }),
        ...(timestampMs === undefined ? {} : { timestamp: `${timestampMs}` }),
      })),
    });
    return BigInt(metadata?.baseOffset ?? '-1');
  }
}
