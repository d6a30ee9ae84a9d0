import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { loadSettings } from '../../core/config.ts';
import { startAll } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/logger.ts';
import { seededRandom } from '../../core/random.ts';
import { queryApiSettings } from '../../query-api/config.ts';
import { type Service } from '../../core/service.ts';
import { createQueryApi } from '../../query-api/service.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { encodeHeader, type RecordKind } from '../../schemas/position.ts';
import { slotOf } from '../../schemas/slot.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka, type TestKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const slots = 4;
const epoch = 1_795_000_000_000n;
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(kafka: TestKafka, instanceId: string): Promise<Service> {
  const flags = {
    kafkaBrokers: kafka.brokers.join(','),
    topicPrefix: kafka.prefix,
    slots,
    replicationFactor: 1,
    instanceId,
    httpListen: '127.0.0.1:0',
    gnmiListen: '127.0.0.1:0',
  };
  const { values } = loadSettings(queryApiSettings, { flags, env: {}, knownElsewhere: new Set() });
  const onFatal = (error: Error): never => {
    throw error;
  };
  const deps = {
    clock: systemClock,
    random: seededRandom(stops.length + 1),
    logger: silentLogger,
    env: {},
    version: 'test',
    onFatal,
  };
  const api = createQueryApi(values, deps);
  stops.push(await startAll(api.components, silentLogger, new AbortController().signal));
  return api;
}

async function openWriter(kafka: TestKafka) {
  const plain = await new PlainProducer(kafka.brokers).open();
  stops.push(() => plain.close());
  let seq = 0n;
  const write = async (slot: number, key: string, value: Buffer | null, kind: RecordKind): Promise<void> => {
    seq += 1n;
    const receivedAtNs = systemClock.nowNs();
    const hf = encodeHeader({ slot, epoch, seq, kind, rpc: 0, receivedAtNs });
    await plain.send(`${kafka.prefix}state`, slot, [{ key: Buffer.from(key), value, headers: { hf } }]);
  };
  return {
    leaf: (device: string, path: string, value: bigint, timestampNs: bigint) => {
      const record = {
        device,
        origin: 'openconfig',
        path,
        value: encodeTypedValue({ kind: 'uint', value }),
        timestampNs,
        atomicRoot: '',
        sampled: false,
      };
      return write(
        slotOf(device, slots),
        `${device}|openconfig:${path}`,
        encodeFrame(1, leafCodec.encode(record)),
        'data',
      );
    },
    remove: (device: string, path: string) =>
      write(slotOf(device, slots), `${device}|openconfig:${path}`, null, 'data'),
    marker: async () => {
      for (let slot = 0; slot < slots; slot += 1) {
        await write(
          slot,
          '|slot',
          encodeFrame(2, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 3 })),
          'synced',
        );
      }
    },
  };
}

async function ask(api: Service, path: string, init: RequestInit = {}) {
  const response = await fetch(`http://${api.address}${path}`, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}
const json = (method: string, body: unknown): RequestInit => ({
  method,
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', 'holdfast-user': 'mia' },
});
const device = { addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }] };

(hasTestKafka ? describe : describe.skip)('query-api on a real Kafka', () => {
  test('devices written at one instance are read at both, with leaves from state, until they are deleted', async () => {
    const kafka = testKafka();
    const [one, two] = await Promise.all([start(kafka, 'query-1'), start(kafka, 'query-2')]);
    expect((await ask(one, '/api/v1/devices/leaf-1', json('PUT', device))).status).toBe(201);
    expect((await ask(one, '/api/v1/devices/leaf-1')).body['data']).toMatchObject({ name: 'leaf-1', changedBy: 'mia' });
    await eventually(
      'the other instance has the device',
      5_000,
      async () => (await ask(two, '/api/v1/devices/leaf-1')).status === 200,
    );

    const early = await ask(two, '/api/v1/devices/leaf-1/state');
    expect([early.status, early.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
    const writer = await openWriter(kafka);
    await writer.leaf(
      'leaf-1',
      '/interfaces/interface[name=et-0/0/1]/state/counters/in-octets',
      2n ** 64n - 1n,
      1_795_246_383_702_000_001n,
    );
    await writer.marker();
    await eventually('ready', 5_000, async () => (await ask(two, '/readyz')).status === 200);
    const answer = await ask(two, '/api/v1/devices/leaf-1/state?maxStalenessMs=5000');
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('"value":"18446744073709551615","type":"uint","timestamp":"1795246383702000001"');
    const cursor = answer.headers.get('holdfast-cursor')!;
    expect((await ask(one, `/api/v1/devices/leaf-1/state?atLeast=${cursor}`)).status).toBe(200);

    await writer.remove('leaf-1', '/interfaces/interface[name=et-0/0/1]/state/counters/in-octets');
    await eventually('the deleted leaf is gone', 5_000, async () =>
      (await ask(two, '/api/v1/state')).text.includes('"leaves":[],"total":0'),
    );
    expect((await ask(two, '/api/v1/devices/leaf-1', { method: 'DELETE' })).status).toBe(204);
    expect((await ask(two, '/api/v1/devices/leaf-1/state')).body).toMatchObject({
      code: 'DEVICE_UNKNOWN',
      reason: 'deleted',
    });
    await eventually(
      'the first instance says deleted',
      5_000,
      async () => (await ask(one, '/api/v1/devices/leaf-1')).body['reason'] === 'deleted',
    );
  }, 60_000);

  test('a second life reads what the first one left, knows its age for an estimate, and serves the schemas', async () => {
    const kafka = testKafka();
    const first = await start(kafka, 'query-1');
    const devices = Array.from({ length: 50 }, (_, n) => ({ name: `d${n}`, ...device, addresses: [`192.0.2.${n}:1`] }));
    expect((await ask(first, '/api/v1/devices:import', json('POST', { devices }))).status).toBe(200);
    const writer = await openWriter(kafka);
    for (let n = 0; n < 50; n += 1) await writer.leaf(`d${n}`, '/a', BigInt(n), 1n);
    await writer.marker();
    await stops.shift()!();

    const second = await start(kafka, 'query-1');
    expect((await ask(second, '/api/v1/state?limit=1')).body['data']).toMatchObject({ total: 50 });
    expect((await ask(second, '/api/v1/state?maxStalenessMs=60000')).body['code']).toBe('TOO_STALE');
    await writer.marker();
    await eventually(
      'a live marker',
      5_000,
      async () => (await ask(second, '/api/v1/state?maxStalenessMs=60000')).status === 200,
    );
    const { body } = await ask(second, '/api/v1/instances');
    expect(body['data']).toMatchObject({
      instances: [{ instance: 'query-1', role: 'query-api', http: second.address, version: 'test' }],
    });
    expect((await ask(second, '/api/v1/cluster')).body['data']).toMatchObject({
      kafka: 'ok',
      devices: { total: 50, synced: 0 },
    });
    const subjects = (await fetch(`http://${second.address}/subjects`).then((response) => response.json())) as string[];
    expect(subjects).toContain(`${kafka.prefix}state-holdfast.v1.Leaf`);
  }, 60_000);
});
