/**
 * A topic `state` that was deleted and made anew under a running query-api, and a cursor of another cluster: whoever comes
 * with a cursor of before is told so, over HTTP and on a stream. What becomes of snapshots is in snapshot.test.ts.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { loadSettings } from '../../core/config.ts';
import { startAll } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/logger.ts';
import { seededRandom } from '../../core/random.ts';
import { type Service } from '../../core/service.ts';
import { queryApiSettings } from '../../query-api/config.ts';
import { createQueryApi } from '../../query-api/service.ts';
import { decodeCursor, encodeCursor, logTag } from '../../schemas/cursor.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { encodeHeader, type RecordKind } from '../../schemas/position.ts';
import { slotOf } from '../../schemas/slot.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka, type TestKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';
import { SseClient } from '../support/sse-client.ts';

const slots = 2;
const epoch = 1_795_000_000_000n;
const device = 'leaf-1';
const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(kafka: TestKafka): Promise<Service> {
  const flags = {
    kafkaBrokers: kafka.brokers.join(','),
    topicPrefix: kafka.prefix,
    slots,
    replicationFactor: 1,
    instanceId: 'query-1',
    snapshotIntervalMs: 0,
    httpListen: '127.0.0.1:0',
    gnmiListen: '127.0.0.1:0',
  };
  const { values } = loadSettings(queryApiSettings, { flags, env: {}, knownElsewhere: new Set() });
  const onFatal = (error: Error): never => {
    throw error;
  };
  const random = seededRandom(1);
  const deps = { clock: systemClock, random, logger: silentLogger, env: {}, version: 'test', onFatal };
  const api = createQueryApi(values, deps);
  stops.push(await startAll(api.components, silentLogger, new AbortController().signal));
  return api;
}

async function openState(kafka: TestKafka) {
  const topic = `${kafka.prefix}state`;
  const plain = await new PlainProducer(kafka.brokers).open();
  stops.push(() => plain.close());
  let seq = 0n;
  const write = async (slot: number, kind: RecordKind, key: string, value: Buffer): Promise<void> => {
    seq += 1n;
    const hf = encodeHeader({ slot, epoch, seq, kind, rpc: 0, receivedAtNs: systemClock.nowNs() });
    await plain.send(topic, slot, [{ key: Buffer.from(key), value, headers: { hf } }]);
  };
  return {
    leaf: (path: string, value: bigint) => {
      const said = { device, origin: 'openconfig', path, timestampNs: 7n, atomicRoot: '', sampled: false };
      const record = { ...said, value: encodeTypedValue({ kind: 'uint', value }) };
      const key = `${device}|openconfig:${path}`;
      return write(slotOf(device, slots), 'data', key, encodeFrame(1, leafCodec.encode(record)));
    },
    marker: async () => {
      const marker = encodeFrame(2, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 3 }));
      for (let slot = 0; slot < slots; slot += 1) await write(slot, 'synced', '|slot', marker);
    },
    makeAnew: async () => {
      await plain.deleteTopic(topic);
      await eventually('the topic is there again', 20_000, () =>
        plain.createTopic(topic, slots, { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '600000' }).then(
          () => true,
          () => false,
        ),
      );
    },
  };
}

async function ask(api: Service, path: string, init: RequestInit = {}) {
  const response = await fetch(`http://${api.address}${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

interface StateData {
  readonly leaves: readonly { readonly path: string; readonly value: unknown }[];
  readonly cursor: string;
}

async function stateOf(api: Service): Promise<StateData> {
  const { status, body } = await ask(api, '/api/v1/state');
  return status === 200 ? (body['data'] as StateData) : { leaves: [], cursor: '' };
}

/** What a stream that comes back with `cursor` is told, until it is synced. */
async function resumedWith(api: Service, cursor: string): Promise<SseClient> {
  const port = Number(/:(\d+)$/.exec(api.address)?.[1]);
  const client = new SseClient({ port, path: '/api/v1/state/stream', lastEventId: cursor });
  stops.push(() => client.close());
  return client.synced();
}

const ofAnotherLog = { code: 'CURSOR_MALFORMED', detail: expect.stringContaining('of another log') };

(hasTestKafka ? describe : describe.skip)('a cursor of another log', () => {
  test('of the topic that was there before is refused by HTTP, and a gap with the whole state on a stream', async () => {
    const kafka = testKafka();
    const api = await start(kafka);
    const state = await openState(kafka);
    const body = JSON.stringify({ addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }] });
    const put = { method: 'PUT', body, headers: { 'content-type': 'application/json' } };
    expect((await ask(api, `/api/v1/devices/${device}`, put)).status).toBe(201);
    for (let n = 0; n < 20; n += 1) await state.leaf('/before', BigInt(n));
    await state.marker();
    await eventually('state', 10_000, async () => (await stateOf(api)).leaves.length === 1);
    const { cursor } = await stateOf(api);
    expect((await ask(api, `/api/v1/state?atLeast=${cursor}`)).status).toBe(200);
    await state.makeAnew();
    await state.leaf('/after', 1n);
    await state.marker();
    await eventually('the instance knows', 40_000, async () => {
      const { leaves, cursor: now } = await stateOf(api);
      return leaves.length === 1 && leaves[0]?.path === '/after' && now.slice(-6) !== cursor.slice(-6);
    });
    const refused = await ask(api, `/api/v1/state?atLeast=${cursor}&maxWaitMs=0`);
    expect([refused.status, refused.body]).toEqual([400, expect.objectContaining(ofAnotherLog)]);
    const stream = await resumedWith(api, cursor);
    expect(stream.events.map(({ event }) => event)).toEqual(['gap', 'update', 'synced']);
    expect(stream.events[0]?.data).toMatchObject({ reason: 'cursor-unknown' });
    expect(stream.leaves).toMatchObject([{ path: '/after', value: '1' }]);
    // Another cluster behind the same address: the same positions, and a tag that is not ours.
    const now = (await stateOf(api)).cursor;
    const foreign = encodeCursor(decodeCursor(now).positions, logTag('another cluster', Buffer.alloc(16, 1)));
    const elsewhere = await ask(api, `/api/v1/state?atLeast=${foreign}&maxWaitMs=0`);
    expect([elsewhere.status, elsewhere.body]).toEqual([400, expect.objectContaining(ofAnotherLog)]);
    expect((await resumedWith(api, foreign)).events[0]?.data).toMatchObject({ reason: 'cursor-unknown' });
    const same = await resumedWith(api, now); // the control
    expect(same.events.filter(({ event }) => event !== 'synced')).toEqual([]);
  }, 90_000);
});
