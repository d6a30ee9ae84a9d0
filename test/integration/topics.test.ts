import { systemClock } from '../../core/clock.ts';
import { KafkaConnection, type KafkaOptions } from '../../core/kafka/connection.ts';
import { applyTopics, planTopics, type TopicSettings } from '../../core/kafka/topic-plan.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const describeKafka = hasTestKafka ? describe : describe.skip;

describeKafka('topics', () => {
  const { brokers } = testKafka();
  const kafka: KafkaOptions = { brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
  const connection = new KafkaConnection(kafka, { name: 'test', requestTimeoutMs: 15_000 });
  const producer = new PlainProducer(brokers);
  beforeAll(() => producer.open());
  afterAll(async () => {
    connection.destroy();
    await producer.close();
  });

  const settingsFor = (prefix: string): TopicSettings & { createTopics: boolean } => ({
    topicPrefix: prefix,
    slots: 3,
    replicationFactor: 1,
    createTopics: true,
    telemetryRetentionMs: 3_600_000,
    telemetryRetentionBytes: 10_485_760,
    resumeWindowMs: 600_000,
    maxMessageBytes: 1_048_576,
  });
  const apply = (settings: TopicSettings & { createTopics: boolean }, logger: Logger = silentLogger) =>
    applyTopics({ connection, settings, clock: systemClock, logger }, AbortSignal.timeout(20_000));

  test('missing topics are created as planned; with one replica the process says so', async () => {
    const settings = settingsFor(testKafka().prefix);
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, info: () => undefined, warn: (_fields, event) => warnings.push(event) };
    const { create } = await apply(settings, logger);
    expect(create).toHaveLength(8);
    expect(warnings).toEqual(['topics have too few replicas to survive the loss of a broker']);

    const wanted = planTopics(settings);
    const configs = await connection.describeConfigs(wanted.map(({ topic }) => topic));
    for (const { topic, partitions, config } of wanted) {
      const found = configs.find((entry) => entry.topic === topic)?.values;
      const relevant = Object.keys(config).map((key) => [key, found?.get(key)]);
      expect({ topic, config: Object.fromEntries(relevant) as unknown }).toEqual({ topic, config });
      for (let partition = 0; partition < partitions; partition += 1) {
        expect(connection.leaderOf(topic, partition)).toBeDefined();
      }
      expect(connection.leaderOf(topic, partitions)).toBeUndefined();
    }
    const again = await apply(settings);
    expect(again).toMatchObject({ create: [], problems: [], drift: [] });
  });

  test('several processes may start at once', async () => {
    const settings = settingsFor(testKafka().prefix);
    const others = [1, 2, 3].map(() => new KafkaConnection(kafka, { name: 'test', requestTimeoutMs: 15_000 }));
    try {
      const signal = AbortSignal.timeout(20_000);
      const started = others.map((other) =>
        applyTopics({ connection: other, settings, clock: systemClock, logger: silentLogger }, signal),
      );
      for (const { problems } of await Promise.all(started)) expect(problems).toEqual([]);
    } finally {
      for (const other of others) other.destroy();
    }
  });

  test('without the right to create, TOPIC_MISSING names what is missing', async () => {
    const { prefix } = testKafka();
    await producer.createTopic(`${prefix}devices`, 3, { 'cleanup.policy': 'compact' });
    const applying = apply({ ...settingsFor(prefix), createTopics: false });
    await expect(applying).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await expect(applying).rejects.toThrow(`${prefix}profiles, ${prefix}telemetry, ${prefix}state`);
    await expect(applying).rejects.toThrow(/^(?!.*devices).*topics apply/);
  });

  test('another partition count and another cleanup policy are TOPIC_MISMATCH, and nothing is created', async () => {
    const { prefix } = testKafka();
    await producer.createTopic(`${prefix}telemetry`, 5);
    await producer.createTopic(`${prefix}state`, 3, { 'cleanup.policy': 'delete' });
    const applying = apply(settingsFor(prefix));
    await expect(applying).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      facts: { topics: [`${prefix}telemetry`, `${prefix}state`] },
    });
    await expect(applying).rejects.toThrow('has 5 partitions, 3 are wanted: set HOLDFAST_SLOTS=5');
    await expect(applying).rejects.toThrow('cleanup.policy=delete, compact is wanted');
    expect(await connection.listTopics()).not.toContain(`${prefix}devices`);
  });

  test('more replicas than brokers are refused with the remedy', async () => {
    const applying = apply({ ...settingsFor(testKafka().prefix), replicationFactor: 9 });
    await expect(applying).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    await expect(applying).rejects.toThrow('HOLDFAST_REPLICATION_FACTOR');
  });
});
