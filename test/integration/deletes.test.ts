/**
 * What goes away, on real parts: a removed device, a leaf that its device deletes, the optional leaf of an atomic container,
 * and what disappears while nobody listens. Asked of query-api, and read from the topics as any other reader would.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { LogReader, type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { comparePositions, decodeHeader } from '../../schemas/position.ts';
import { slotOf } from '../../schemas/slot.ts';
import { type TopicName, topicOf } from '../../schemas/topics.ts';
import { eventually } from '../support/eventually.ts';
import { testKafka } from '../support/kafka.ts';
import { Stack } from '../support/stack.ts';
import { leavesOf, truthOf } from '../support/state-audit.ts';

const slots = 4;
const calm = '/interfaces/interface[name=Ethernet1/2]/state/description';
const alarm = '/system/alarms/alarm[id=TEMP-1]/state/';

describe('what goes away', () => {
  const kafka = testKafka();
  // The container is sent every 50 ticks: 2.5 s.
  const stack = new Stack({ kafka, devices: 4, rate: 20, updates: 10, ingest: 1, slots });

  /** One partition of a topic, from its beginning to its present end. */
  const read = async (topic: TopicName, device: string): Promise<LogRecord[]> => {
    const records: LogRecord[] = [];
    const reader = new LogReader({
      kafka: { brokers: kafka.brokers, clientId: 'test', logger: silentLogger, clock: systemClock },
      name: 'audit',
      onBatch: (batch) => void records.push(...batch.records),
      clock: systemClock,
      logger: silentLogger,
    });
    const signal = AbortSignal.timeout(10_000);
    const [name, slot] = [topicOf(kafka.prefix, topic), slotOf(device, slots)];
    reader.assign(name, slot, 'earliest');
    await reader.start(signal);
    await reader.caughtUp(name, slot, signal).finally(() => reader.stop());
    return records;
  };

  /** Per key of the device in `state` its record of the highest position, as readers of a compacted topic keep it. */
  const stateOf = async (device: string): Promise<Map<string, LogRecord>> => {
    const newest = new Map<string, LogRecord>();
    for (const record of await read('state', device)) {
      const key = record.key?.toString() ?? '';
      if (!key.startsWith(`${device}|`)) continue;
      const before = newest.get(key);
      if (before !== undefined && comparePositions(decodeHeader(record.header!), decodeHeader(before.header!)) < 0)
        throw new Error(`${key} went back`);
      newest.set(key, record);
    }
    return newest;
  };

  const isTombstone = async (device: string, path: string): Promise<boolean> => {
    const record = (await stateOf(device)).get(`${device}|openconfig:${path}`);
    return record !== undefined && record.value === null;
  };

  const isAnswered = async (device: string, path: string): Promise<boolean> =>
    (await leavesOf(stack, 'query-api-1', device)).has(`openconfig:${path}`);

  const expectRemoved = async (device: string, leavesBefore: number): Promise<void> => {
    const answer = await fetch(`${stack.api().base}/api/v1/devices/${device}/state?path=/`);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([404, 'DEVICE_UNKNOWN']);
    const records = await eventually('a tombstone for every leaf', 15_000, async () => {
      const found = [...(await stateOf(device)).values()];
      return found.length >= leavesBefore && found.every(({ value }) => value === null) ? found : undefined;
    });
    const telemetry = (await read('telemetry', device)).filter(({ key }) => key?.toString() === device);
    const last = telemetry.at(-1)!;
    const header = decodeHeader(last.header!);
    expect(header.kind).toBe('closed'); // nothing follows it
    expect(markerCodec.decode(decodeFrame(last.value!).message)).toMatchObject({ device, reason: 'removed' });
    const atRemoval = records.filter((record) => comparePositions(decodeHeader(record.header!), header) === 0);
    expect(atRemoval.length).toBeGreaterThan(leavesBefore / 2); // the tombstones carry the marker's position
    await eventually('a null status', 10_000, async () => {
      const statuses = (await read('status', device)).filter(({ key }) => key?.toString() === device);
      return statuses.at(-1)?.value === null;
    });
  };

  beforeAll(() => stack.start(), 90_000);
  afterAll(() => stack.stop(), 60_000);

  test('a leaf that its device deletes is a tombstone in state and gone from the answer', async () => {
    await eventually('the leaf', 10_000, () => isAnswered('sim-1', calm));
    await stack.simulatorCall('POST', '/devices/sim-1/leaf', { delete: calm });
    await eventually('the leaf gone from the answer', 10_000, async () => !(await isAnswered('sim-1', calm)));
    expect(await isTombstone('sim-1', calm)).toBe(true);
  }, 30_000);

  test('the optional leaf of an atomic container comes and goes, the others stay', async () => {
    const seen = new Set<string>();
    let optional = '';
    await eventually('a generation without a leaf that the one before had', 15_000, async () => {
      const now = new Set([...(await truthOf(stack, 'sim-1')).keys()].filter((path) => path.includes(alarm)));
      for (const path of now) seen.add(path);
      optional = [...seen].find((path) => !now.has(path)) ?? '';
      return optional !== '';
    });
    const path = optional.replace('openconfig:', '');
    await eventually('a tombstone', 10_000, () => isTombstone('sim-1', path));
    await eventually('the leaf again', 10_000, () => isAnswered('sim-1', path));
    expect(seen.size).toBeGreaterThan(1);
    const others = [...(await leavesOf(stack, 'query-api-1', 'sim-1')).keys()].filter((one) => one.includes(alarm));
    expect(others.length).toBe(seen.size);
  }, 45_000);

  test('what disappears while nobody listens is swept, in a session of several Subscribe RPCs too', async () => {
    const record = (await stack.api().call('GET', '/api/v1/devices/sim-2')) as object;
    await stack.api().call('PUT', '/api/v1/profiles/second', {
      encoding: 'proto',
      subscriptions: [{ path: '/interfaces', mode: 'target-defined' }],
    });
    await stack.api().call('PUT', '/api/v1/devices/sim-2', {
      ...record,
      encoding: 'json_ietf',
      profiles: ['simulated', 'second'],
    });
    await eventually('two RPCs, synced', 15_000, async () => {
      const markers = (await read('telemetry', 'sim-2')).filter(({ key }) => key?.toString() === 'sim-2');
      const data = markers.findLast(({ header }) => decodeHeader(header!).kind === 'data');
      const kinds = markers.map(({ header }) => decodeHeader(header!).kind);
      return decodeHeader(data!.header!).rpc > 0 && kinds.lastIndexOf('synced') > kinds.lastIndexOf('opened');
    });
    await stack.simulatorCall('POST', '/devices/sim-2/fault', { kind: 'refuse', forMs: 1_500 });
    await stack.simulatorCall('POST', '/devices/sim-2/leaf', { delete: calm });
    expect(await isTombstone('sim-2', calm)).toBe(false); // nobody heard of it
    await eventually('the leaf gone from the answer', 20_000, async () => !(await isAnswered('sim-2', calm)));
    expect(await isTombstone('sim-2', calm)).toBe(true);
  }, 60_000);

  test('a removed device: closed (removed), a tombstone for every leaf, a null status, 404 with a reason', async () => {
    const before = (await leavesOf(stack, 'query-api-1', 'sim-3')).size;
    expect(before).toBeGreaterThan(50);
    await stack.api().call('DELETE', '/api/v1/devices/sim-3');
    await expectRemoved('sim-3', before);
  }, 45_000);

  test('a device that is removed while it cannot be reached leaves nothing behind either', async () => {
    const before = (await leavesOf(stack, 'query-api-1', 'sim-4')).size;
    await stack.simulatorCall('POST', '/devices/sim-4/fault', { kind: 'refuse' });
    await eventually('waiting', 15_000, async () => {
      const { status } = (await stack.api().call('GET', '/api/v1/devices/sim-4')) as { status: { state: string } };
      return status.state === 'waiting';
    });
    await stack.api().call('DELETE', '/api/v1/devices/sim-4');
    await expectRemoved('sim-4', before);
  }, 45_000);

  test('and a device that is removed while no ingest runs: the next owner says it', async () => {
    const before = (await leavesOf(stack, 'query-api-1', 'sim-2')).size;
    await stack.process('ingest-1').kill();
    await stack.api().call('DELETE', '/api/v1/devices/sim-2');
    await stack.startPart('ingest', 'ingest-1');
    await expectRemoved('sim-2', before);
    await stack.simulatorCall('POST', '/pause');
    const truth = await truthOf(stack, 'sim-1');
    await eventually('the device that is left equals its truth', 20_000, async () => {
      const said = await leavesOf(stack, 'query-api-1', 'sim-1');
      return (
        said.size === truth.size && [...truth].every(([path, { timestamp }]) => said.get(path)?.timestamp === timestamp)
      );
    });
  }, 60_000);
});
