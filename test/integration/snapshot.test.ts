import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { systemClock } from '../../core/clock.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { seededRandom } from '../../core/random.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { Replica } from '../../query-api/replica.ts';
import { SnapshotFolder } from '../../query-api/snapshot-folder.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { encodeHeader } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka, type TestKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const slots = 2;
const { signal } = new AbortController();
const stops: (() => Promise<void>)[] = [];
let dir = '';

beforeEach(async () => {
  dir = await mkdtemp(`${tmpdir()}/holdfast-snapshot-`);
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await rm(dir, { recursive: true });
});

interface Started {
  readonly replica: Replica;
  readonly applied: () => Promise<number>;
  /** Warnings. */
  readonly lines: Record<string, unknown>[];
  readonly folder: SnapshotFolder;
}

async function startReplica(kafka: TestKafka, topic: string, intervalMs: number): Promise<Started> {
  const metrics = createMetrics();
  const lines: Record<string, unknown>[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields: unknown) => lines.push(fields as Record<string, unknown>) };
  const folder = new SnapshotFolder(dir, 'query-1');
  const replica = new Replica({
    kafka: { brokers: kafka.brokers, clientId: 'test', logger: silentLogger, clock: systemClock },
    topic,
    slots,
    resumeWindowMs: 600_000,
    clock: systemClock,
    logger,
    metrics: createQueryApiMetrics(metrics, { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 }),
    ...(intervalMs === 0 ? {} : { snapshots: { folder, intervalMs } }),
    onFatal: (error) => {
      throw error;
    },
  });
  stops.push(() => replica.stop());
  await replica.start(signal);
  const applied = async (): Promise<number> => {
    const [, count = '0'] = /records_applied_total (\d+)/.exec(await metrics.registry.metrics()) ?? [];
    return Number(count);
  };
  return { replica, applied, lines, folder };
}

async function openWriter(kafka: TestKafka, topic: string, seed: number) {
  const random = seededRandom(seed);
  const plain = await new PlainProducer(kafka.brokers).open();
  stops.push(() => plain.close());
  const create = () => plain.createTopic(topic, slots, { 'cleanup.policy': 'compact' });
  const remove = () => plain.deleteTopic(topic);
  let seq = 0n;
  const write = async (count: number): Promise<void> => {
    for (const slot of [0, 1]) {
      const records = Array.from({ length: count }, () => {
        seq += 1n;
        const path = `/k[n=${Math.floor(random.next() * 200)}]`;
        const key = Buffer.from(`d${slot}|openconfig:${path}`);
        const hf = encodeHeader({ slot, epoch: 5n, seq, kind: 'data', rpc: 0, more: false, receivedAtNs: 1n });
        const leaf = {
          device: `d${slot}`,
          origin: 'openconfig',
          path,
          timestampNs: 3n,
          atomicRoot: '',
          sampled: false,
        };
        const value = encodeTypedValue({ kind: 'uint', value: seq });
        const isGone = random.next() < 0.3;
        return { key, value: isGone ? null : encodeFrame(7, leafCodec.encode({ ...leaf, value })), headers: { hf } };
      });
      await plain.send(topic, slot, records);
    }
  };
  return { create, remove, write };
}

const everything = compilePattern(parsePath('/'));
const leavesOf = ({ replica }: Started): string[] =>
  ['d0', 'd1'].flatMap((device) =>
    replica.store
      .find(device, everything, '/')
      .map(({ key, value, epoch, seq }) => `${device} ${key} ${value.toString('hex')} ${epoch}:${seq}`),
  );
const completeOf = ({ replica }: Started) => [replica.complete(0), replica.complete(1)];

(hasTestKafka ? describe : describe.skip)('snapshots of state', () => {
  test('a restart goes on from the snapshot, and has what the topic alone gives', async () => {
    const kafka = testKafka();
    const topic = `${kafka.prefix}state`;
    const writer = await openWriter(kafka, topic, 1);
    await writer.create();
    await writer.write(1_000);
    const first = await startReplica(kafka, topic, 100);
    await eventually('a snapshot', 10_000, async () => (await first.folder.read(1)) !== null);
    await writer.write(50);
    await eventually('all is read', 10_000, async () => (await first.applied()) === 2_100);
    await first.replica.stop(); // writes once more
    await writer.write(100); // set and deleted while nobody looks
    const again = await startReplica(kafka, topic, 3_600_000);
    const truth = await startReplica(kafka, topic, 0);
    expect(leavesOf(again)).toEqual(leavesOf(truth));
    expect(leavesOf(again).length).toBeGreaterThan(100);
    expect(completeOf(again)).toEqual(completeOf(truth));
    expect([await again.applied(), again.lines]).toEqual([200, []]);
    expect(await truth.applied()).toBe(2_300); // the control: without snapshots it is all of the topic
    const ends = completeOf(again).map((at) => at!.seq);
    await writer.write(10);
    await eventually('the log goes on', 10_000, () => completeOf(again).every((at, slot) => at!.seq > ends[slot]!));
  }, 60_000);

  test('a topic that was made anew is read from its beginning, and the log says why', async () => {
    const kafka = testKafka();
    const topic = `${kafka.prefix}state`;
    const writer = await openWriter(kafka, topic, 2);
    await writer.create();
    await writer.write(300);
    const first = await startReplica(kafka, topic, 3_600_000);
    await first.replica.stop();
    await writer.remove();
    await eventually('the topic is there again', 20_000, () => writer.create().then(() => true, () => false)); // prettier-ignore
    await writer.write(20);
    const again = await startReplica(kafka, topic, 3_600_000);
    const truth = await startReplica(kafka, topic, 0);
    expect(leavesOf(again)).toEqual(leavesOf(truth));
    expect(await again.applied()).toBe(40);
    expect(again.lines).toEqual([
      expect.objectContaining({ slots: [0, 1], cause: expect.stringContaining('made anew') }),
    ]);
  }, 60_000);

  test('a snapshot of another cluster behind the same address is not taken, and the log says why', async () => {
    const kafka = testKafka();
    const topic = `${kafka.prefix}state`;
    const writer = await openWriter(kafka, topic, 4);
    await writer.create();
    await writer.write(100);
    const first = await startReplica(kafka, topic, 3_600_000);
    await first.replica.stop();
    const { checkSnapshot, encodeSlot, restoreSlot } = await import('../../query-api/slot-snapshot.ts');
    const { LeafStore } = await import('../../query-api/leaf-store.ts');
    const store = new LeafStore();
    const snapshot = checkSnapshot((await first.folder.read(1))!);
    for (const _ of restoreSlot(store, snapshot));
    const log = { ...snapshot.head.log, clusterId: 'another' };
    await first.folder.write(1, encodeSlot(store, { ...snapshot.head, log }), signal);
    const again = await startReplica(kafka, topic, 3_600_000);
    const truth = await startReplica(kafka, topic, 0);
    expect(leavesOf(again)).toEqual(leavesOf(truth));
    expect(await again.applied()).toBe(100); // of slot 1; slot 0 has its snapshot
    expect(again.lines).toEqual([expect.objectContaining({ slots: [1], cause: 'it is of cluster another' })]);
  }, 60_000);

  test('a snapshot whose place is not in the log is forgotten, and the slot read from its beginning', async () => {
    const kafka = testKafka();
    const topic = `${kafka.prefix}state`;
    const writer = await openWriter(kafka, topic, 3);
    await writer.create();
    await writer.write(300);
    const first = await startReplica(kafka, topic, 3_600_000);
    await first.replica.stop();
    const { checkSnapshot, encodeSlot, restoreSlot } = await import('../../query-api/slot-snapshot.ts');
    const { LeafStore } = await import('../../query-api/leaf-store.ts');
    const store = new LeafStore();
    const snapshot = checkSnapshot((await first.folder.read(0))!);
    for (const _ of restoreSlot(store, snapshot));
    store.apply(0, 'd0', 'openconfig:/never', null, { epoch: 9n, seq: 1n, receivedAtNs: 1n });
    const beyond = { ...snapshot.head, place: { ...snapshot.head.place, nextOffset: 1_000_000n } };
    await first.folder.write(0, encodeSlot(store, beyond), signal);
    const again = await startReplica(kafka, topic, 3_600_000);
    const truth = await startReplica(kafka, topic, 0);
    expect(leavesOf(again)).toEqual(leavesOf(truth));
    expect(completeOf(again)).toEqual(completeOf(truth));
    expect(await again.applied()).toBe(300);
  }, 60_000);
});
