import { decodeHeader, type RecordKind } from '../../schemas/position.ts';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection, type KafkaOptions } from '../../core/kafka/connection.ts';
import { kafkaError } from '../../core/kafka/errors.ts';
import { FencedWriter, type FencedWriterOptions, type NumberedRecord } from '../../core/kafka/fenced-writer.ts';
import { decodeFetch, encodeFetch, fetchApi } from '../../core/kafka/fetch-protocol.ts';
import { ProduceDispatcher } from '../../core/kafka/produce-dispatcher.ts';
import { ProducerIds } from '../../core/kafka/producer-id.ts';
import { type DecodedRecord, decodeBatches, decodeRecords } from '../../core/kafka/record-batch.ts';
import { silentLogger } from '../../core/logger.ts';
import { testKafka } from './kafka.ts';
import { type Link, linkTo } from './link.ts';

const clock = systemClock;
export const common = { clock, logger: silentLogger };
export const optionsOf = (brokers: readonly string[]): KafkaOptions => ({ brokers, clientId: 'test', ...common });

/** Repeats until the outcome is there; retriable errors of Kafka count as not yet. */
export async function until<T>(work: () => Promise<T> | T, what = 'a condition'): Promise<T & {}> {
  const endMs = clock.monotonicMs() + 15_000;
  let last: unknown;
  while (clock.monotonicMs() < endMs) {
    try {
      const value = await work();
      if (value !== false && value !== undefined && value !== null) return value;
    } catch (thrown) {
      last = thrown;
      if (!kafkaError(thrown).retriable) throw thrown;
    }
    await clock.sleep(30);
  }
  throw new Error(`${what} did not come true: ${String(last)}`);
}

/** Topics, writers and links of one test on the real Kafka; `end` closes all of it. */
export class Stage {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly topic: string;
  readonly connection: KafkaConnection;
  readonly #closing: (() => unknown)[] = [() => this.connection.destroy()];

  /** On the brokers of this test run, or on others. */
  constructor(kafka: { readonly brokers: readonly string[]; readonly prefix: string } = testKafka()) {
    this.brokers = kafka.brokers;
    this.prefix = kafka.prefix;
    this.topic = `${this.prefix}telemetry`;
    this.connection = new KafkaConnection(optionsOf(this.brokers), { name: 'test', requestTimeoutMs: 10_000 });
  }

  /** Called in reverse order when the test is over. */
  onEnd(close: () => unknown): void {
    this.#closing.push(close);
  }

  async end(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }

  /** To the first broker. */
  async link(): Promise<Link> {
    const link = await linkTo(this.brokers[0]!);
    this.onEnd(() => link.close());
    return link;
  }

  async create(
    topic = this.topic,
    configs: Record<string, string> = {},
    partitions = 4,
    replicationFactor = 1,
  ): Promise<void> {
    await this.connection.createTopics([{ topic, partitions, replicationFactor, configs }]);
    await until(async () => {
      await this.connection.refreshMetadata([topic]);
      const nodes = Array.from({ length: partitions }, (_, partition) => this.connection.leaderOf(topic, partition));
      if (nodes.includes(undefined)) return false;
      const wanted = nodes.map((_, partition) => ({ topic, partition, timestamp: -1n }));
      const led = (node: number | undefined) => wanted.filter(({ partition }) => nodes[partition] === node);
      const listed = await Promise.all(
        [...new Set(nodes)].map((node) => this.connection.broker(node!).listOffsets(led(node))),
      );
      return listed.flat().every(({ code }) => code === 0);
    }, 'every partition has a leader');
  }

  async dispatcher(link?: Link, requestTimeoutMs = 10_000): Promise<ProduceDispatcher> {
    const kafka = { ...optionsOf(this.brokers), ...(link === undefined ? {} : { route: () => link.address }) };
    const dispatcher = new ProduceDispatcher({ kafka, ...common, requestTimeoutMs });
    this.onEnd(() => dispatcher.stop());
    await dispatcher.start(new AbortController().signal);
    return dispatcher;
  }

  async writer(
    dispatcher: ProduceDispatcher,
    epoch: bigint,
    more: Partial<FencedWriterOptions> = {},
  ): Promise<{ writer: FencedWriter; fenced: () => number }> {
    const producerIds = new ProducerIds({ kafka: optionsOf(this.brokers), ...common });
    this.onEnd(() => producerIds.destroy());
    let fenced = 0;
    const writer = new FencedWriter({
      slot: 1,
      epoch,
      transactionalId: `${this.prefix}slot-1`,
      dispatcher,
      producerIds,
      leaseLive: () => true,
      onFenced: () => {
        fenced += 1;
      },
      gapMarker: ({ seq, valueBytes }) => Buffer.from(`gap ${seq} ${valueBytes > 0}`),
      compression: 'none',
      ...common,
      ...more,
    });
    this.onEnd(() => writer.stop());
    await writer.start();
    return { writer, fenced: () => fenced };
  }

  async read(topic = this.topic, partition = 1): Promise<DecodedRecord[]> {
    await this.connection.refreshMetadata([topic]);
    const broker = this.connection.broker(this.connection.leaderOf(topic, partition)!);
    const [end] = await broker.listOffsets([{ topic, partition, timestamp: -1n }]);
    const records: DecodedRecord[] = [];
    for (let offset = 0n; offset < end!.offset;) {
      const limits = { maxWaitMs: 500, maxBytes: 10_000_000, partitionMaxBytes: 10_000_000 };
      const body = encodeFetch([{ topic, partition, fetchOffset: offset }], limits);
      const [fetched] = decodeFetch(await broker.send(fetchApi.key, fetchApi.version, body)).partitions;
      for (const batch of decodeBatches(fetched!.records)) {
        for (const record of await decodeRecords(batch)) if (record.offset >= offset) records.push(record);
        offset = batch.nextOffset;
      }
    }
    return records;
  }
}

export function numbered(text: string | Buffer, kind: RecordKind = 'data'): NumberedRecord {
  return {
    key: Buffer.from('device'),
    prefix: Buffer.from([0]),
    value: Buffer.from(text),
    kind,
    rpc: 3,
    receivedAtNs: clock.nowNs(),
  };
}

export const textOf = ({ value }: DecodedRecord): string => value!.subarray(1).toString();
export const seqs = (records: readonly DecodedRecord[]): bigint[] =>
  records.map(({ header }) => decodeHeader(header!).seq);
export const upTo = (count: number): bigint[] => Array.from({ length: count }, (_, index) => BigInt(index + 1));
