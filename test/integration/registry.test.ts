import { builtInSchemaId } from '../../schemas/schema-id.ts';
import { decodeFrame, encodeFrame } from '../../schemas/frame.ts';
import { instanceCodec } from '../../schemas/instance.ts';
import { schemaTexts } from '../../schemas/proto-texts.ts';
import { loadSettings } from '../../core/config.ts';
import { systemClock } from '../../core/clock.ts';
import { type KafkaOptions } from '../../core/kafka/connection.ts';
import { InstanceReporter } from '../../core/kafka/instance-reporter.ts';
import { Producer } from '../../core/kafka/producer.ts';
import { openRegistry, type SchemaIds } from '../../core/kafka/registry.ts';
import { SchemaCatalogue } from '../../core/kafka/schema-catalogue.ts';
import { decodeSchemaRecord, encodeSchemaRecord, type SchemaRecord } from '../../core/kafka/schema-record.ts';
import { wantedSchemas } from '../../core/kafka/schema-set.ts';
import { Table } from '../../core/kafka/table.ts';
import { silentLogger } from '../../core/logger.ts';
import { commonSettings, type CommonSettings } from '../../core/settings.ts';
import { type Apicurio, startApicurio } from '../support/apicurio.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const describeKafka = hasTestKafka ? describe : describe.skip;
const patience = (ms = 20_000): AbortSignal => AbortSignal.timeout(ms);

describeKafka('schemas', () => {
  const { brokers } = testKafka();
  const kafka: KafkaOptions = { brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
  const producer = new Producer({ kafka });
  const plain = new PlainProducer(brokers);
  const open: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    await plain.open();
    await producer.start(patience());
  });
  afterAll(async () => {
    await producer.stop();
    await plain.close();
  });
  afterEach(async () => {
    for (const component of open.splice(0).reverse()) await component.stop();
  });

  const settingsFor = (prefix: string, flags: Record<string, unknown> = {}): CommonSettings => {
    const given = { kafkaBrokers: brokers, topicPrefix: prefix, ...flags };
    return loadSettings(commonSettings, { flags: given, env: {}, knownElsewhere: new Set() }).values;
  };
  const registryOf = (settings: CommonSettings): Promise<SchemaIds> =>
    openRegistry({ settings, kafka, producer, env: {}, clock: systemClock, logger: silentLogger }, patience());
  const freshPrefix = async (): Promise<string> => {
    const { prefix } = testKafka();
    await plain.createTopic(`${prefix}schemas`, 1, { 'cleanup.policy': 'compact' });
    await plain.createTopic(`${prefix}instances`, 1, { 'cleanup.policy': 'compact' });
    return prefix;
  };
  const schemaTable = async (prefix: string): Promise<Table<SchemaRecord>> => {
    const table = new Table<SchemaRecord>({
      kafka,
      topic: `${prefix}schemas`,
      partitions: [0],
      decode: (_key, record) => decodeSchemaRecord(record.value ?? Buffer.alloc(0)),
      clock: systemClock,
      logger: silentLogger,
    });
    open.push(table);
    await table.start(patience());
    return table;
  };

  describe('built in', () => {
    test('processes that start at once agree; a later one writes nothing; the catalogue answers', async () => {
      const prefix = await freshPrefix();
      const settings = settingsFor(prefix);
      const [one, two] = await Promise.all([registryOf(settings), registryOf(settings)]);
      const topic = `${prefix}state`;
      const id = builtInSchemaId(schemaTexts['holdfast.v1.Leaf'].text);
      expect(one.idOf(topic, 'holdfast.v1.Leaf')).toBe(id);
      expect(two.framePrefix(topic, 'holdfast.v1.Leaf')).toEqual(one.framePrefix(topic, 'holdfast.v1.Leaf'));
      expect(two.messageOf(id)).toBe('holdfast.v1.Leaf');
      expect(() => one.idOf(topic, 'holdfast.v1.Plan')).toThrow('carries no');

      const table = await schemaTable(prefix);
      const before = await plainEnd(table);
      await registryOf(settings);
      expect(await plainEnd(table)).toEqual(before);
      expect(table.size).toBe(wantedSchemas(prefix).length);

      const catalogue = new SchemaCatalogue(table.values());
      const body = { schemaType: 'PROTOBUF', schema: schemaTexts['holdfast.v1.Leaf'].text };
      expect(catalogue.answer('GET', `/schemas/ids/${id}`)).toMatchObject({ status: 200, body });
      const latest = catalogue.answer('GET', `/subjects/${topic}-holdfast.v1.Leaf/versions/latest`);
      expect(latest.body).toMatchObject({
        id,
        version: 1,
        references: [{ name: 'gnmi/gnmi.proto', subject: 'gnmi/gnmi.proto', version: 1 }],
      });
      expect(catalogue.answer('GET', '/subjects/gnmi%2Fgnmi.proto/versions/1').status).toBe(200);
    });

    test('an id that another version of the product registered later is looked up in the topic', async () => {
      const prefix = await freshPrefix();
      const ids = await registryOf(settingsFor(prefix));
      const schema = 'syntax = "proto3";\npackage holdfast.v1;\nmessage Leaf {\n  string device = 1;\n}\n';
      const id = builtInSchemaId(schema);
      const record = { subject: `${prefix}state-holdfast.v1.Leaf`, id, schemaType: 'PROTOBUF', schema, references: [] };
      await plain.send(`${prefix}schemas`, 0, [encodeSchemaRecord({ ...record, registeredAt: 1 })]);
      expect(ids.messageOf(id)).toBeUndefined();
      expect(await ids.lookUp(id, patience())).toBe('holdfast.v1.Leaf');
      expect(await ids.lookUp(12_345, patience())).toBeUndefined();
    });

    test('another text under an id of ours is SCHEMA_COLLISION, and nothing is written', async () => {
      const prefix = await freshPrefix();
      const id = builtInSchemaId(schemaTexts['holdfast.v1.Device'].text);
      const foreign = {
        subject: 'foreign',
        id,
        schemaType: 'PROTOBUF',
        schema: 'other',
        references: [],
        registeredAt: 1,
      };
      await plain.send(`${prefix}schemas`, 0, [encodeSchemaRecord(foreign)]);
      const opening = registryOf(settingsFor(prefix));
      await expect(opening).rejects.toMatchObject({ code: 'SCHEMA_COLLISION', facts: { id, otherSubject: 'foreign' } });
      expect((await schemaTable(prefix)).size).toBe(1);
    });
  });

  describe('in an external registry', () => {
    let apicurio: Apicurio | null = null;
    beforeAll(async () => {
      apicurio = await startApicurio();
    }, 300_000);
    afterAll(() => apicurio?.kill());

    test('schemas are registered and found again; killed afterwards it stops nothing that runs', async () => {
      if (apicurio === null) return; // startApicurio has said why
      const prefix = await freshPrefix();
      const settings = settingsFor(prefix, { schemaRegistryUrl: apicurio.url });
      const ids = await registryOf(settings);
      const again = await registryOf(settings);
      const topic = `${prefix}instances`;
      const id = ids.idOf(topic, 'holdfast.v1.Instance');
      expect(again.idOf(topic, 'holdfast.v1.Instance')).toBe(id);
      for (const { use } of wantedSchemas(prefix)) {
        if (use === null) continue;
        const found = ids.idOf(use.topic, use.message);
        expect(again.idOf(use.topic, use.message)).toBe(found);
        expect(ids.messageOf(found)).toBe(use.message);
      }
      const stored = (await (await fetch(`${apicurio.url}/schemas/ids/${id}`)).json()) as { schema: string };
      expect(stored.schema).toBe(schemaTexts['holdfast.v1.Instance'].text);
      const other = await registryOf(settingsFor(`${prefix}other.`, { schemaRegistryUrl: apicurio.url }));
      const otherId = other.idOf(`${prefix}other.state`, 'holdfast.v1.Leaf');
      expect(await ids.lookUp(otherId, patience())).toBe('holdfast.v1.Leaf');

      await apicurio.kill();
      const reporter = instanceReporter(prefix, again, 'inc-1');
      await reporter.start(patience());
      const table = await instanceTable(prefix);
      expect(table.get('ingest-1')).toMatchObject({ schemaId: id, message: 'holdfast.v1.Instance' });
      expect(await ids.lookUp(999_999, patience())).toBeUndefined();
      const late = openRegistryWithin(settings, 300);
      await expect(late).rejects.toThrow();
    }, 60_000);

    const openRegistryWithin = (settings: CommonSettings, ms: number): Promise<SchemaIds> =>
      openRegistry(
        { settings, kafka, producer, env: {}, clock: systemClock, logger: silentLogger },
        AbortSignal.timeout(ms),
      );
    const instanceTable = async (prefix: string): Promise<Table<{ schemaId: number; message: string }>> => {
      const table = new Table<{ schemaId: number; message: string }>({
        kafka,
        topic: `${prefix}instances`,
        partitions: [0],
        decode: (_key, record) => {
          const frame = decodeFrame(record.value ?? Buffer.alloc(0));
          instanceCodec.decode(frame.message);
          return { schemaId: frame.schemaId, message: instanceCodec.message };
        },
        clock: systemClock,
        logger: silentLogger,
      });
      open.push(table);
      await table.start(patience());
      return table;
    };
  });

  const fatal: string[] = [];
  const instanceReporter = (prefix: string, schemas: SchemaIds, incarnation: string): InstanceReporter => {
    const reporter = new InstanceReporter({
      kafka,
      producer,
      schemas,
      topicPrefix: prefix,
      instanceId: 'ingest-1',
      incarnation,
      role: 'ingest',
      version: '0.0.0',
      now: () => ({
        http: '127.0.0.1:1',
        gnmi: '',
        draining: false,
        slots: [{ slot: 7, epoch: 1n, seq: 2n, stalenessMs: 3 }],
      }),
      onFatal: (error) => fatal.push(error.code),
      clock: systemClock,
      logger: silentLogger,
    });
    open.push(reporter);
    return reporter;
  };

  describe('instances', () => {
    const follow = async (prefix: string) => {
      const seen: (ReturnType<typeof instanceCodec.decode> | null)[] = [];
      const table = new Table<ReturnType<typeof instanceCodec.decode>>({
        kafka,
        topic: `${prefix}instances`,
        partitions: [0],
        decode: (_key, record) => instanceCodec.decode(decodeFrame(record.value ?? Buffer.alloc(0)).message),
        onChange: (_key, value) => seen.push(value ?? null),
        clock: systemClock,
        logger: silentLogger,
      });
      open.push(table);
      await table.start(patience());
      return { seen, table };
    };

    test('one record a second with what it is asked for, and null at a clean stop', async () => {
      const prefix = await freshPrefix();
      const ids = await registryOf(settingsFor(prefix));
      const { seen, table } = await follow(prefix);
      const reporter = instanceReporter(prefix, ids, 'inc-1');
      const startedAtMs = performance.now();
      await reporter.start(patience());
      expect(performance.now() - startedAtMs).toBeLessThan(2_000); // nobody had the id: no watching
      await new Promise((resolve) => setTimeout(resolve, 2_300));
      await reporter.stop();
      await reporter.stop();
      await table.readToEnd(patience());
      expect(seen.length).toBeGreaterThanOrEqual(3);
      expect(seen.length).toBeLessThanOrEqual(5);
      expect(seen[0]).toMatchObject({
        instance: 'ingest-1',
        role: 'ingest',
        incarnation: 'inc-1',
        http: '127.0.0.1:1',
        version: '0.0.0',
        draining: false,
        slots: [{ slot: 7, epoch: 1n, seq: 2n, stalenessMs: 3 }],
      });
      expect(seen.at(-1)).toBeNull();
      expect(table.get('ingest-1')).toBeUndefined();
    }, 15_000);

    test('I1: an id that another incarnation renews is INSTANCE_ID_TAKEN, and its record stays', async () => {
      const prefix = await freshPrefix();
      const ids = await registryOf(settingsFor(prefix));
      await instanceReporter(prefix, ids, 'inc-1').start(patience());
      const second = instanceReporter(prefix, ids, 'inc-2');
      await expect(second.start(patience())).rejects.toMatchObject({
        code: 'INSTANCE_ID_TAKEN',
        facts: { instanceId: 'ingest-1', otherIncarnation: 'inc-1' },
      });
      await second.stop();
      const { table } = await follow(prefix);
      expect(table.get('ingest-1')?.incarnation).toBe('inc-1');
    }, 15_000);

    test('I1: the last record of a killed process does not hold the id', async () => {
      const prefix = await freshPrefix();
      const ids = await registryOf(settingsFor(prefix));
      const dead = instanceCodec.encode({
        instance: 'ingest-1',
        role: 'ingest',
        incarnation: 'dead',
        http: '',
        gnmi: '',
        zone: '',
        version: '',
        startedAtNs: 1n,
        draining: false,
        load: 0,
        slots: [],
      });
      const value = encodeFrame(ids.idOf(`${prefix}instances`, 'holdfast.v1.Instance'), dead);
      await plain.send(`${prefix}instances`, 0, [{ key: Buffer.from('ingest-1'), value }]);
      await instanceReporter(prefix, ids, 'inc-2').start(patience());
      const { table } = await follow(prefix);
      expect(table.get('ingest-1')?.incarnation).toBe('inc-2');
    }, 15_000);

    test('I2: of two that start at once exactly one goes on', async () => {
      const prefix = await freshPrefix();
      const ids = await registryOf(settingsFor(prefix));
      fatal.length = 0;
      const starts = ['inc-1', 'inc-2'].map((incarnation) =>
        instanceReporter(prefix, ids, incarnation).start(patience()),
      );
      const results = await Promise.allSettled(starts);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const refused = results.filter(({ status }) => status === 'rejected').length;
      expect(refused + new Set(fatal).size).toBe(1);
    }, 15_000);
  });
});

async function plainEnd(table: Table<SchemaRecord>): Promise<string[]> {
  await table.readToEnd(patience());
  return [...table.values()].map(({ subject, registeredAt }) => `${subject} ${registeredAt}`).sort();
}
