import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock } from '../../core/clock.ts';
import { deferred } from '../../core/deferred.ts';
import { type HoldfastError, messageOf } from '../../core/errors.ts';
import { KafkaConnection, type KafkaOptions } from '../../core/kafka/connection.ts';
import { type LogBatch, LogReader, type LogReaderOptions } from '../../core/kafka/log-reader.ts';
import { Table } from '../../core/kafka/table.ts';
import { RequestBody } from '../../core/kafka/request-body.ts';
import { silentLogger } from '../../core/logger.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { PlainProducer, type PlainRecord } from '../support/plain-producer.ts';

const describeKafka = hasTestKafka ? describe : describe.skip;
const patience = (ms = 15_000): AbortSignal => AbortSignal.timeout(ms);
const text = (key: string | null, value: string | null): PlainRecord => ({
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
});

describeKafka('reading a log', () => {
  const { brokers } = testKafka();
  const kafka: KafkaOptions = { brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
  const producer = new PlainProducer(brokers);
  const open: { stop(): Promise<void> }[] = [];
  const fatal: HoldfastError[] = [];

  beforeAll(() => producer.open());
  afterAll(() => producer.close());
  afterEach(async () => {
    for (const component of open.splice(0)) await component.stop();
    expect(fatal.splice(0)).toEqual([]);
  });

  const reader = (onBatch: LogReaderOptions['onBatch'], rest: Partial<LogReaderOptions> = {}): LogReader => {
    const created = new LogReader({
      kafka,
      name: 'test',
      onBatch,
      onFatal: (error) => fatal.push(error),
      clock: systemClock,
      logger: silentLogger,
      ...rest,
    });
    open.push(created);
    return created;
  };
  const topicOf = async (partitions = 1, config: Record<string, string> = {}): Promise<string> => {
    const topic = `${testKafka().prefix}log`;
    await producer.createTopic(topic, partitions, config);
    return topic;
  };

  test('reads from the earliest to the end, then follows: keys, values, headers, timestamps, gzip', async () => {
    const topic = await topicOf();
    const hf = Buffer.alloc(30, 7);
    await producer.send(topic, 0, [{ ...text('a', 'one'), headers: { hf }, timestampMs: 1_700_000_000_123 }]);
    await producer.send(topic, 0, [text('b', null), text(null, 'three'), text('c', 'x'.repeat(10_000))], true);
    const batches: LogBatch[] = [];
    const log = reader((batch) => void batches.push(batch));
    log.assign(topic, 0, 'earliest');
    expect(log.lag(topic, 0)).toBeNull();
    await log.start(patience());
    await log.caughtUp(topic, 0, patience());

    const records = batches.flatMap((batch) => batch.records);
    expect(records.map(({ offset, key, value }) => [offset, key?.toString() ?? null, value?.length ?? null])).toEqual([
      [0n, 'a', 3],
      [1n, 'b', null],
      [2n, null, 5],
      [3n, 'c', 10_000],
    ]);
    expect(records[0]?.header).toEqual(hf);
    expect(records[0]?.timestampMs).toBe(1_700_000_000_123);
    expect(records[1]?.header).toBeNull();
    expect(batches.at(-1)).toMatchObject({ topic, partition: 0, nextOffset: 4n, highWatermark: 4n });
    expect(log.nextOffset(topic, 0)).toBe(4n);
    expect(log.lag(topic, 0)).toBe(0n);
    expect(log.kafkaOk).toBe(true);

    const offset = await producer.send(topic, 0, [text('d', 'five')]);
    await log.waitFor(topic, 0, offset, patience());
    expect(batches.at(-1)?.records[0]?.key?.toString()).toBe('d');
  });

  test('connecting anew keeps the position, repeats nothing and is no trouble to tell of', async () => {
    const topic = await topicOf();
    const offsets: bigint[] = [];
    const told: string[] = [];
    const logger = { ...silentLogger, warn: (_fields: object, event: string) => void told.push(event) };
    const log = reader(({ records }) => void offsets.push(...records.map((record) => record.offset)), { logger });
    log.assign(topic, 0, 'earliest');
    await log.start(patience());
    for (let round = 0; round < 5; round += 1) {
      const offset = await producer.send(topic, 0, [text('a', `${round}`)]);
      await log.waitFor(topic, 0, offset, patience());
      log.reconnect(); // with a long poll under way
    }
    await log.readToEnd(topic, 0, patience());
    expect(offsets).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(told).toEqual([]);
  });

  test('an empty partition is caught up at once; a position inside a batch starts there, not at the batch', async () => {
    const topic = await topicOf(2);
    await producer.send(topic, 1, [text('a', '0'), text('b', '1'), text('c', '2')]);
    const offsets: bigint[] = [];
    const log = reader(({ records }) => void offsets.push(...records.map((record) => record.offset)));
    log.assign(topic, 0, 'earliest');
    log.assign(topic, 1, 2n);
    await log.start(patience());
    await Promise.all([log.caughtUp(topic, 0, patience()), log.caughtUp(topic, 1, patience())]);
    expect(offsets).toEqual([2n]);
    expect(log.nextOffset(topic, 0)).toBe(0n);
  });

  test('every partition is read, although a response holds only some of them and batches exceed its limits', async () => {
    const partitions = 6;
    const topic = await topicOf(partitions);
    const large = 'x'.repeat(40_000);
    for (let partition = 0; partition < partitions; partition += 1) {
      for (let round = 0; round < 4; round += 1) await producer.send(topic, partition, [text(`${round}`, large)]);
    }
    const counts = new Map<number, number>();
    const log = reader(
      ({ partition, records }) => void counts.set(partition, (counts.get(partition) ?? 0) + records.length),
      { maxBytes: 10_000, partitionMaxBytes: 5_000 },
    );
    for (let partition = 0; partition < partitions; partition += 1) log.assign(topic, partition, 'earliest');
    await log.start(patience());
    for (let partition = 0; partition < partitions; partition += 1) await log.caughtUp(topic, partition, patience());
    expect([...counts.values()]).toEqual(Array(partitions).fill(4));
  });

  test('R1: a slow handler holds its partition back and no other; order within a partition stays', async () => {
    const topic = await topicOf(2);
    const gate = deferred<undefined>();
    const seen: string[] = [];
    let running = 0;
    let runningMax = 0;
    const log = reader(async ({ partition, records }) => {
      if (partition === 0) {
        running += 1;
        runningMax = Math.max(runningMax, running);
        await gate.promise;
        running -= 1;
      }
      seen.push(...records.map((record) => `${partition}:${record.offset}`));
    });
    await producer.send(topic, 0, [text('a', '0')]);
    log.assign(topic, 0, 'earliest');
    log.assign(topic, 1, 'earliest');
    await log.start(patience());
    await log.caughtUp(topic, 1, patience());
    await producer.send(topic, 0, [text('a', '1')]);
    const startedAtMs = performance.now();
    for (let round = 0; round < 5; round += 1) {
      const offset = await producer.send(topic, 1, [text('b', `${round}`)]);
      await log.waitFor(topic, 1, offset, patience());
    }
    // Five long polls of 500 ms would be 2.5 s: the others' requests are short while one partition is busy.
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    expect(log.nextOffset(topic, 0)).toBe(0n);
    expect(seen.filter((entry) => entry.startsWith('0'))).toEqual([]);
    gate.resolve(undefined);
    await log.waitFor(topic, 0, 1n, patience());
    expect(seen.filter((entry) => entry.startsWith('0'))).toEqual(['0:0', '0:1']);
    expect(runningMax).toBe(1);
  });

  test('partitions come and go while it runs; R3: nothing of an unassigned one is handed over', async () => {
    const topic = await topicOf(2);
    await producer.send(topic, 0, [text('a', '0')]);
    await producer.send(topic, 1, [text('b', '0')]);
    const seen: string[] = [];
    const log = reader(
      ({ partition, records }) => void seen.push(...records.map(({ offset }) => `${partition}:${offset}`)),
    );
    await log.start(patience());
    expect(log.kafkaOk).toBe(true); // nothing to ask for
    log.assign(topic, 0, 'earliest');
    await log.caughtUp(topic, 0, patience());
    const waiting = log.waitFor(topic, 0, 100n, patience()).catch(messageOf);
    log.unassign(topic, 0);
    expect(await waiting).toContain('unassigned');
    await expect(log.caughtUp(topic, 0, patience())).rejects.toThrow('not assigned');
    log.assign(topic, 1, 'earliest');
    await log.caughtUp(topic, 1, patience());
    await producer.send(topic, 0, [text('a', '1')]);
    const offset = await producer.send(topic, 1, [text('b', '1')]);
    await log.waitFor(topic, 1, offset, patience());
    expect(seen).toEqual(['0:0', '1:0', '1:1']);
    log.assign(topic, 0, 1n);
    await log.caughtUp(topic, 0, patience());
    expect(seen.at(-1)).toBe('0:1');
  });

  test('readToEnd takes the end of now; a signal ends the wait', async () => {
    const topic = await topicOf();
    let records = 0;
    const log = reader((batch) => void (records += batch.records.length));
    log.assign(topic, 0, 'earliest');
    await log.start(patience());
    await log.caughtUp(topic, 0, patience());
    await producer.send(
      topic,
      0,
      Array.from({ length: 100 }, (_, index) => text('k', `${index}`)),
    );
    await log.readToEnd(topic, 0, patience());
    expect(records).toBe(100);
    await expect(log.waitFor(topic, 0, 1_000n, AbortSignal.timeout(50))).rejects.toThrow();
  });

  test.each([
    { name: 'cut off below it', from: 1n },
    { name: 'shorter than it', from: 99n },
  ])('an offset in a log $name starts over at the earliest, and says so', async ({ from }) => {
    const topic = await topicOf();
    await producer.send(topic, 0, [text('a', '0'), text('a', '1'), text('a', '2'), text('a', '3')]);
    await cutOff(kafka, topic, 2n);
    const offsets: bigint[] = [];
    const lost: string[] = [];
    const log = reader(({ records }) => void offsets.push(...records.map((record) => record.offset)), {
      onOutOfRange: (lostTopic, partition) => lost.push(`${lostTopic}-${partition}`),
    });
    log.assign(topic, 0, from);
    await log.start(patience());
    await log.caughtUp(topic, 0, patience());
    expect(offsets).toEqual([2n, 3n]);
    expect(lost).toEqual([`${topic}-0`]);
  });

  test('a topic that does not exist yet is waited for', async () => {
    const topic = `${testKafka().prefix}later`;
    const log = reader(() => undefined);
    log.assign(topic, 0, 'earliest');
    await log.start(patience());
    await new Promise((resolve) => setTimeout(resolve, 200));
    await producer.createTopic(topic, 1);
    await log.caughtUp(topic, 0, patience());
  });

  test('a handler that throws is fatal: nothing more is read, and waiters are told', async () => {
    const topic = await topicOf();
    await producer.send(topic, 0, [text('a', '0')]);
    const log = reader(() => Promise.reject(new Error('no room')));
    log.assign(topic, 0, 'earliest');
    const waiting = log.caughtUp(topic, 0, patience()).catch(messageOf);
    await log.start(patience());
    expect(await waiting).toContain('no room');
    expect(fatal.splice(0)).toMatchObject([{ code: 'INTERNAL' }]);
    await expect(log.caughtUp(topic, 0, patience())).rejects.toThrow('no room');
  });

  test('stop ends a long poll at once, twice and before start as well', async () => {
    const topic = await topicOf();
    const log = reader(() => undefined, { maxWaitMs: 30_000 });
    log.assign(topic, 0, 'earliest');
    await log.start(patience());
    await log.caughtUp(topic, 0, patience());
    await new Promise((resolve) => setTimeout(resolve, 100)); // the long poll is under way
    const startedAtMs = performance.now();
    await log.stop();
    await log.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(500);
    await reader(() => undefined).stop();
  });

  test('a Kafka that is away at start is waited for', async () => {
    const topic = await topicOf();
    const link = new Link(brokers[0] ?? '');
    await link.open();
    try {
      const offsets: bigint[] = [];
      const through: KafkaOptions = { ...kafka, brokers: [link.address] };
      link.cut();
      const log = reader(({ records }) => void offsets.push(...records.map((record) => record.offset)), {
        kafka: through,
      });
      await producer.send(topic, 0, [text('a', '0')]);
      log.assign(topic, 0, 'earliest');
      await log.start(patience());
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(offsets).toEqual([]);
      expect(log.lastResponseAtMonotonicMs).toBeNull();
      link.mend();
      await log.caughtUp(topic, 0, patience());
      expect(offsets).toEqual([0n]);
      expect(log.lastResponseAtMonotonicMs).not.toBeNull();
    } finally {
      await link.close();
    }
  });

  describe('a table', () => {
    const table = <V>(
      topic: string,
      partitions: number[],
      rest: Partial<ConstructorParameters<typeof Table<V>>[0]>,
    ) => {
      const created = new Table<V>({
        kafka,
        topic,
        partitions,
        decode: (_key, record) => (record.value?.toString() ?? '') as V,
        onFatal: (error) => fatal.push(error),
        clock: systemClock,
        logger: silentLogger,
        ...rest,
      });
      open.push(created);
      return created;
    };

    test('holds the last value per key, forgets tombstones, follows, and lets a writer read its writes', async () => {
      const topic = await topicOf(2, { 'cleanup.policy': 'compact' });
      await producer.send(topic, 0, [text('a', '1'), text('b', '1'), text('a', '2')]);
      await producer.send(topic, 1, [text('c', '1'), text('d', '1'), text('c', null)]);
      const changes: string[] = [];
      const map = table<string>(topic, [0, 1], { onChange: (key, value) => changes.push(`${key}=${value ?? ''}`) });
      await map.start(patience());
      expect(Object.fromEntries(map.entries())).toEqual({ a: '2', b: '1', d: '1' });
      expect(map.size).toBe(3);
      expect(map.caughtUp).toBe(true);
      expect(map.lag).toBe(0n);

      const offset = await producer.send(topic, 1, [text('d', null), text('e', '5')]);
      await map.waitFor(1, offset + 1n, patience());
      expect(map.get('d')).toBeUndefined();
      expect(map.get('e')).toBe('5');
      expect(changes.slice(-2)).toEqual(['d=', 'e=5']);
      expect(map.version).toBe(changes.length);
      await producer.send(topic, 0, [text('a', '3')]);
      await map.readToEnd(patience());
      expect(map.get('a')).toBe('3');
    });

    test('T2: the newer value wins, not the later record; what is not understood is skipped', async () => {
      const topic = await topicOf();
      await producer.send(topic, 0, [text('a', '7'), text('a', '5'), text('b', 'broken'), text('b', '1')]);
      const map = table<number>(topic, [0], {
        decode: (_key, record) => {
          const value = Number(record.value?.toString());
          if (Number.isNaN(value)) throw new Error('not a number');
          return value;
        },
        newer: (candidate, present) => candidate > present,
      });
      await map.start(patience());
      expect(Object.fromEntries(map.entries())).toEqual({ a: 7, b: 1 });
    });

    test('T3: a topic that was made anew replaces the content, whatever is newer', async () => {
      const topic = await topicOf();
      await producer.send(topic, 0, [text('a', '1'), text('b', '1'), text('c', '1')]);
      const map = table<string>(topic, [0], {
        newer: () => false,
        maxWaitMs: 50,
      });
      await map.start(patience());
      await producer.deleteTopic(topic);
      await producer.createTopic(topic, 1);
      await producer.send(topic, 0, [text('b', '2'), text('d', '2')]);
      const until = performance.now() + 10_000;
      while (map.get('d') === undefined && performance.now() < until) await new Promise((r) => setTimeout(r, 20));
      expect(Object.fromEntries(map.entries())).toEqual({ b: '2', d: '2' });
    });
  });
});

/** DeleteRecords: `offset` becomes the earliest of partition 0. */
async function cutOff(kafka: KafkaOptions, topic: string, offset: bigint): Promise<void> {
  const connection = new KafkaConnection(kafka, { name: 'test', requestTimeoutMs: 10_000 });
  try {
    await connection.refreshMetadata([topic]);
    const body = new RequestBody()
      .array([topic], (item, name) => item.string(name).array([0], (entry, index) => entry.int32(index).int64(offset)))
      .int32(10_000);
    await connection.broker(connection.leaderOf(topic, 0) ?? -1).send(21, 1, body.build());
  } finally {
    connection.destroy();
  }
}

/** A TCP proxy that can be cut. */
class Link {
  readonly #target: { host: string; port: number };
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #cut = false;

  constructor(target: string) {
    const [host = '', port = ''] = target.split(':');
    this.#target = { host, port: Number(port) };
    this.#server = createServer((near) => {
      if (this.#cut) return near.destroy();
      const far = createConnection(this.#target);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
      return undefined;
    });
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  open(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
