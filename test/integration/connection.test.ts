import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { latestTimestamp } from '../../core/kafka/broker-handle.ts';
import { KafkaError, kafkaError } from '../../core/kafka/errors.ts';
import { RequestBody } from '../../core/kafka/request-body.ts';
import { silentLogger } from '../../core/logger.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function open(brokers: readonly string[], requestTimeoutMs = 10_000): KafkaConnection {
  const options = { brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
  const connection = new KafkaConnection(options, { name: 'test', requestTimeoutMs });
  closing.push(() => connection.destroy());
  return connection;
}

async function failure(work: Promise<unknown>): Promise<KafkaError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(KafkaError);
  return kafkaError(thrown);
}

/** Accepts connections and never answers: a frozen broker. */
async function frozenBroker(): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `127.0.0.1:${address.port}`;
}

/** Forwards to a broker; `cut` destroys what runs through it. */
async function proxy(target: string): Promise<{ address: string; cut: () => void; accepted: () => number }> {
  const [host, port] = target.split(':');
  const sockets: Socket[] = [];
  let accepted = 0;
  const server = createServer((inbound) => {
    accepted += 1;
    const outbound = connect(Number(port), host);
    for (const socket of [inbound, outbound]) {
      sockets.push(socket);
      socket.on('error', () => undefined);
    }
    inbound.pipe(outbound).pipe(inbound);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  closing.push(() => {
    cut();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { address: `127.0.0.1:${address.port}`, cut, accepted: () => accepted };
}

const suite = hasTestKafka ? describe : describe.skip;

suite('a connection to a real Kafka', () => {
  test('creates a topic with its settings, finds its leader and describes it', async () => {
    const { brokers, prefix } = testKafka();
    const connection = open(brokers);
    await connection.connect(AbortSignal.timeout(10_000));
    const topic = `${prefix}t`;
    const wanted = { topic, partitions: 3, replicationFactor: 1, configs: { 'cleanup.policy': 'compact' } };
    expect(await connection.createTopics([wanted])).toEqual([{ topic, code: 0, message: '' }]);
    expect((await connection.createTopics([wanted]))[0]).toMatchObject({ topic, code: 36 });
    const [metadata] = await connection.refreshMetadata([topic]);
    expect(metadata?.partitions.map(({ partition }) => partition).toSorted()).toEqual([0, 1, 2]);
    expect(connection.leaderOf(topic, 2)).toBe(connection.nodeIds[0]);
    const [configs] = await connection.describeConfigs([topic]);
    expect(configs?.values.get('cleanup.policy')).toBe('compact');
    expect(await connection.listTopics()).toContain(topic);
    expect((await connection.clusterId()).length).toBeGreaterThan(0);
    expect(await connection.brokerCount()).toBeGreaterThan(0);
    const settings = await connection.describeBrokerConfigs(connection.nodeIds[0]!);
    expect(settings.has('log.retention.ms')).toBe(true);
    const broker = connection.broker(connection.leaderOf(topic, 0)!);
    expect(await broker.listOffsets([{ topic, partition: 0, timestamp: latestTimestamp }])).toEqual([
      { topic, partition: 0, code: 0, offset: 0n },
    ]);
    expect(await broker.listOffsets([{ topic, partition: 9, timestamp: latestTimestamp }])).toMatchObject([
      { code: 3 },
    ]);
  });

  test('joins, syncs, commits and leaves a group, with the bytes it was given', async () => {
    const { brokers, prefix } = testKafka();
    const connection = open(brokers);
    const groupId = `${prefix}group`;
    const topic = `${prefix}t`;
    await connection.createTopics([{ topic, partitions: 1, replicationFactor: 1, configs: {} }]);
    const { broker } = await until(() => connection.findCoordinator(groupId, 'group'));
    const metadata = Buffer.from('000100000000ffffffff', 'hex');
    const request = { groupId, memberId: '', sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 10_000 };
    const given: string[] = [];
    const group = await until(() =>
      broker.joinGroup({
        ...request,
        protocols: [{ name: 'p', metadata }],
        onMemberId: (memberId) => given.push(memberId),
      }),
    );
    expect(given).toEqual([group.memberId]);
    expect(group.members).toEqual([{ memberId: group.memberId, metadata }]);
    const member = { groupId, generation: group.generation, memberId: group.memberId };
    const assignment = Buffer.from([0, 1, 2, 3]);
    expect(await broker.syncGroup(member, [{ memberId: group.memberId, assignment }])).toEqual(assignment);
    await broker.heartbeat(member);
    await broker.offsetCommit(member, [{ topic, partition: 0, offset: 7n, metadata: 'm' }]);
    const fetched = await broker.offsetFetch(groupId, [
      { topic, partition: 0 },
      { topic, partition: 1 },
    ]);
    expect(fetched).toEqual([
      { topic, partition: 0, offset: 7n, metadata: 'm' },
      { topic, partition: 1, offset: -1n, metadata: '' },
    ]);
    expect(await failure(broker.heartbeat({ ...member, generation: 99 }))).toMatchObject({
      name: 'ILLEGAL_GENERATION',
    });
    await broker.leaveGroup(groupId, group.memberId);
    expect(await failure(broker.heartbeat(member))).toMatchObject({ name: 'UNKNOWN_MEMBER_ID', kind: 'protocol' });
  });

  test('a cut connection rejects requests in flight at once, and the next request connects again', async () => {
    const { brokers } = testKafka();
    const link = await proxy(brokers[0]!);
    const connection = open([link.address]);
    const request = (): Promise<unknown> => connection.refreshMetadata([]);
    await request();
    const held = open([link.address]);
    await held.connect(AbortSignal.timeout(10_000));
    expect(link.accepted()).toBe(2);
    link.cut();
    await request();
    await request();
    expect(link.accepted()).toBeLessThanOrEqual(3); // it may have gone to the broker's own address instead
  });

  test('is open only once requests leave without waiting, and not any more when it was let go', async () => {
    const connection = open(testKafka().brokers);
    await connection.refreshMetadata([]);
    const broker = connection.broker(connection.nodeIds[0]!);
    broker.disconnect();
    expect(broker.isOpen).toBe(false);
    const opening = broker.open();
    expect(broker.isOpen).toBe(false);
    await opening;
    expect(broker.isOpen).toBe(true);
    await broker.open(); // again: of no effect
    connection.destroy();
    expect(broker.isOpen).toBe(false);
  });

  test('destroy rejects a long poll at once', async () => {
    const { brokers, prefix } = testKafka();
    const connection = open(brokers);
    const topic = `${prefix}t`;
    await connection.createTopics([{ topic, partitions: 1, replicationFactor: 1, configs: {} }]);
    await until(async () => {
      await connection.refreshMetadata([topic]);
      const leader = connection.broker(connection.leaderOf(topic, 0) ?? -1);
      const [listed] = await leader.listOffsets([{ topic, partition: 0, timestamp: latestTimestamp }]);
      if (listed?.code !== 0) throw kafkaError(listed?.code);
    });
    const broker = connection.broker(connection.leaderOf(topic, 0)!);
    const body = new RequestBody().int32(-1).int32(60_000).int32(1).int32(1_000).int8(0).int32(0).int32(-1);
    body.array([topic], (item) =>
      item.string(topic).array([0], (entry) => entry.int32(0).int32(-1).int64(0n).int64(-1n).int32(1_000)),
    );
    body.array([], () => undefined).string('');
    const poll = failure(broker.send(1, 11, body.build(), 70_000));
    await systemClock.sleep(300);
    const startMs = systemClock.monotonicMs();
    connection.destroy();
    expect(await poll).toMatchObject({ kind: 'transport' });
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(200);
    await connection.refreshMetadata([]);
  });
});

test('a broker that accepts and never answers is a timeout, and its connection is ended', async () => {
  const connection = open([await frozenBroker()], 300);
  const startMs = systemClock.monotonicMs();
  expect(await failure(connection.refreshMetadata([]))).toMatchObject({ kind: 'timeout', retriable: true });
  expect(systemClock.monotonicMs() - startMs).toBeLessThan(2_000);
});

test('a refused port is a transport error, and connect gives up with its signal', async () => {
  const connection = open(['127.0.0.1:1'], 300);
  expect(await failure(connection.refreshMetadata([]))).toMatchObject({ kind: 'transport' });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 250);
  await expect(connection.connect(controller.signal)).rejects.toThrow('enough');
});

/** A fresh broker answers with coordinator errors for less than a second. */
async function until<T>(work: () => Promise<T>): Promise<T> {
  const endMs = systemClock.monotonicMs() + 15_000;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (!kafkaError(thrown).retriable || systemClock.monotonicMs() > endMs) throw thrown;
      await systemClock.sleep(100);
    }
  }
}
