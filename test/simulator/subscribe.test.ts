import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { systemClock } from '../../core/clock.ts';
import { gnmi, type SubscribeRequest } from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { type SimulatedDevice } from '../../simulator/device.ts';
import { type Fleet } from '../../simulator/fleet.ts';
import { GnmiClient, path, streamOf, type Subscriber } from './subscriber.ts';
import { testFleet } from './test-fleet.ts';

/** The RPCs of a device over real sockets; test names cite the rules of gNMI they check. */
const counters = '/interfaces/interface[name=Ethernet1/1]/state/counters';
const octets = `openconfig:${counters}/in-octets`;
const onSample = (interval: bigint, more: object = {}): object => ({
  mode: 'SAMPLE',
  sampleInterval: interval,
  ...more,
});
const ms = (count: number): bigint => BigInt(count) * 1_000_000n;
let fleet: Fleet;
let device: SimulatedDevice;
let client: GnmiClient;

beforeEach(async () => {
  fleet = testFleet();
  await fleet.start();
  device = fleet.device('dut-1');
  client = new GnmiClient(device.address);
});
afterEach(async () => {
  client.close();
  await fleet.stop();
});

const once = (request: Init<SubscribeRequest>): Subscriber => {
  const subscriber = client.subscribe(request);
  subscriber.call.end();
  return subscriber;
};
const times = (subscriber: Subscriber, leaf: string): number =>
  subscriber.responses
    .flatMap(({ update }) => update?.update ?? [])
    .filter((one) => one.path !== undefined && leaf.endsWith(one.path.elems.at(-1)!.name)).length;

test('ONCE sends all values, one sync, and ends with OK (M1)', async () => {
  device.tick();
  const subscriber = once(streamOf(['/'], { mode: 'ONCE' }));
  expect(await subscriber.ended()).toMatchObject({ code: status.OK });
  expect(subscriber.syncs).toBe(1);
  const truth = [...device.truth()].map(([leaf, { value, timestampNs }]) => [leaf, { value, timestampNs }]);
  expect(Object.fromEntries(subscriber.leaves)).toEqual(Object.fromEntries(truth));
  expect(subscriber.responses.filter(({ update }) => update?.atomic === true)).toHaveLength(1); // A10
});

test('POLL sends a first set unasked and one per poll (M2)', async () => {
  const subscriber = client.subscribe(streamOf([counters], { mode: 'POLL' }));
  await subscriber.synced(1);
  device.tick();
  subscriber.send({ poll: {} });
  await subscriber.synced(2);
  expect(subscriber.leaves.get(octets)?.value).toEqual(device.truth().get(octets)?.value);
  subscriber.call.end();
  expect(await subscriber.ended()).toMatchObject({ code: status.OK });
});

test.each([
  ['ONCE', 0],
  ['POLL', 0],
  ['STREAM', 0],
] as const)('%s with updates_only sends the sync alone (M11)', async (mode, updates) => {
  const subscriber = client.subscribe(streamOf(['/'], { mode, updatesOnly: true }));
  await subscriber.synced();
  expect(subscriber.leaves.size).toBe(updates);
  if (mode !== 'STREAM') return;
  device.tick();
  await subscriber.until('the tick', () => subscriber.sequences().length === 1);
});

test('a stream for a part sends what it covers, then only its changes (M3, P7, P8)', async () => {
  const subscriber = client.subscribe(
    streamOf(['/interfaces/interface[name=*]/state/counters/in-octets', '/components/.../instant']),
  );
  await subscriber.synced();
  expect([...subscriber.leaves.keys()].filter((leaf) => leaf.endsWith('in-octets'))).toHaveLength(2);
  expect(subscriber.leaves.size).toBe(2 + 4);
  for (let tick = 0; tick < 10; tick += 1) device.tick();
  const wanted = device.truth().get(octets)!;
  await subscriber.until('the last value', () => subscriber.leaves.get(octets)?.timestampNs === wanted.timestampNs);
  expect(subscriber.leaves.get(octets)?.value).toEqual(wanted.value);
  expect(subscriber.leaves.size).toBe(6);
});

test('a path that is not there stays open and is sent when it appears (S7)', async () => {
  const subscriber = client.subscribe(streamOf(['/simulator/later']));
  await subscriber.synced();
  expect(subscriber.leaves.size).toBe(0);
  device.setLeaf('/simulator/later/leaf', { kind: 'uint', value: 18_446_744_073_709_551_615n });
  await subscriber.until('the leaf', () => subscriber.leaves.size === 1);
  expect(subscriber.leaves.get('openconfig:/simulator/later/leaf')?.value).toEqual({
    kind: 'uint',
    value: 2n ** 64n - 1n,
  });
});

test('a removed interface is deleted and comes back (D1, D3)', async () => {
  const all = client.subscribe(streamOf(['/']));
  const part = client.subscribe(streamOf([counters]));
  const sampled = client.subscribe(streamOf([counters], {}, onSample(ms(10_000))));
  for (const one of [all, part, sampled]) await one.synced();
  await device.apply({ kind: 'remove-interface', interface: 'Ethernet1/1' });
  for (const one of [all, part, sampled]) await one.until('the delete', () => !one.leaves.has(octets));
  const deletes = part.responses.flatMap(({ update }) => update?.delete ?? []);
  expect(deletes).toHaveLength(12); // leaf by leaf: the interface itself is more than was subscribed to
  await device.apply({ kind: 'add-interface', interface: 'Ethernet1/1' });
  for (const one of [all, part]) await one.until('the return', () => one.leaves.has(octets));
});

test('an atomic container is replaced whole under its prefix (A2, A10)', async () => {
  const subscriber = client.subscribe(streamOf(['/system']));
  await subscriber.synced();
  const text = 'openconfig:/system/alarms/alarm[id=TEMP-1]/state/text';
  expect(subscriber.leaves.has(text)).toBe(true);
  for (let tick = 0; tick < 50; tick += 1) device.tick();
  await subscriber.until('a generation without its text', () => !subscriber.leaves.has(text));
  for (let tick = 0; tick < 50; tick += 1) device.tick();
  await subscriber.until('a generation with it', () => subscriber.leaves.has(text));
  const atomic = subscriber.responses.filter(({ update }) => update?.atomic === true);
  expect(atomic.map(({ update }) => update?.update.length)).toEqual([5, 4, 5]);
});

test('SAMPLE sends every leaf each interval, changed or not (M5), and suppress_redundant only changed ones (M7)', async () => {
  const sampled = client.subscribe(streamOf([counters], {}, onSample(ms(40))));
  const suppressed = client.subscribe(streamOf([counters], {}, onSample(ms(40), { suppressRedundant: true })));
  await sampled.synced();
  await suppressed.synced();
  await sampled.until('three samples', () => times(sampled, octets) >= 4);
  expect(times(suppressed, octets)).toBe(1);
  device.tick();
  await suppressed.until('the changed one', () => times(suppressed, octets) === 2);
});

test('a heartbeat re-sends unchanged leaves, under ON_CHANGE and under suppression (M4, M8)', async () => {
  const onChange = client.subscribe(streamOf([counters], {}, { mode: 'ON_CHANGE', heartbeatInterval: ms(50) }));
  const suppressed = client.subscribe(
    streamOf([counters], {}, onSample(ms(20), { suppressRedundant: true, heartbeatInterval: ms(100) })),
  );
  await onChange.until('two heartbeats', () => times(onChange, octets) >= 3);
  await suppressed.until('a heartbeat', () => times(suppressed, octets) >= 2);
});

test('two subscriptions of one leaf send it once in the walk, per change and per sample (S14)', async () => {
  const subscriber = client.subscribe(streamOf([counters, counters, '/interfaces']));
  await subscriber.synced();
  expect(times(subscriber, '/in-octets')).toBe(2);
  const sampled = client.subscribe(streamOf([counters, counters], {}, onSample(ms(60))));
  await sampled.synced();
  await sampled.until('a sample', () => times(sampled, octets) > 1);
  expect(times(sampled, octets)).toBe(2);
});

test.each([
  ['2^53 ns', 2n ** 53n],
  ['2^63 ns', 2n ** 63n],
])('an interval of %s waits instead of firing at once (M10)', async (_, interval) => {
  const subscriber = client.subscribe(streamOf([counters], {}, onSample(interval)));
  await subscriber.synced();
  await systemClock.sleep(60);
  expect(times(subscriber, octets)).toBe(1);
});

const list = (more: object): Init<SubscribeRequest> => ({
  subscribe: { encoding: 'PROTO', subscription: [{ path: path('/') }], ...more },
});
test.each<[string, Init<SubscribeRequest>, number]>([
  ['S1 poll first', { poll: {} }, status.INVALID_ARGUMENT],
  ['S1 nothing', {}, status.INVALID_ARGUMENT],
  ['S3 empty list', list({ subscription: [] }), status.INVALID_ARGUMENT],
  ['E5 ASCII', list({ encoding: 'ASCII' }), status.UNIMPLEMENTED],
  ['E9 use_models', list({ useModels: [{ name: 'x' }] }), status.UNIMPLEMENTED],
  [
    'M6 too short',
    list({ subscription: [{ path: path('/'), mode: 'SAMPLE', sampleInterval: 1n }] }),
    status.INVALID_ARGUMENT,
  ],
  ['M9 interval', list({ subscription: [{ path: path('/'), sampleInterval: ms(1000) }] }), status.INVALID_ARGUMENT],
  [
    'N8 two origins',
    list({ prefix: { origin: 'openconfig' }, subscription: [{ path: path('openconfig:/a') }] }),
    status.INVALID_ARGUMENT,
  ],
  [
    'N8 origin and elems',
    list({ prefix: path('/a'), subscription: [{ path: path('openconfig:/b') }] }),
    status.INVALID_ARGUMENT,
  ],
  ['N4 target in a path', list({ subscription: [{ path: { target: 'x' } }] }), status.INVALID_ARGUMENT],
])('%s is refused, and other RPCs go on', async (_, request, code) => {
  const other = client.subscribe(streamOf(['/']));
  await other.synced();
  expect(await client.subscribe(request).ended()).toMatchObject({ code });
  device.tick();
  await other.until('the tick', () => other.sequences().at(-1) === 1n);
});

test('bytes that are no request, and a second list, are INVALID_ARGUMENT (S2)', async () => {
  const garbage = client.subscribe();
  garbage.call.write(Buffer.from([0x0a, 0x7f, 1]));
  expect(await garbage.ended()).toMatchObject({ code: status.INVALID_ARGUMENT });
  const twice = client.subscribe(streamOf(['/']));
  await twice.synced();
  twice.send(streamOf(['/']));
  expect(await twice.ended()).toMatchObject({ code: status.INVALID_ARGUMENT });
});

test.each([
  ['nothing said, nothing sent', {}, '/simulator', undefined, ''],
  ['target echoed', { target: 'x' }, '/simulator', { origin: '', target: 'x' }, ''],
  ['* is the own name', { target: '*' }, '/simulator', { origin: '', target: 'dut-1' }, ''],
  ['origin in the prefix', { origin: 'openconfig' }, '/simulator', { origin: 'openconfig', target: '' }, ''],
  ['origin in the path', {}, 'openconfig:/simulator', undefined, 'openconfig'],
])('prefix, target and origin: %s (N4, N7)', async (_, prefix, asked, expected, pathOrigin) => {
  const subscriber = client.subscribe(streamOf([asked], { prefix }));
  await subscriber.synced();
  device.tick();
  await subscriber.until('the tick', () => subscriber.sequences().at(-1) === 1n);
  for (const { update } of subscriber.responses) {
    if (update === undefined) continue;
    if (expected === undefined) expect(update.prefix).toBeUndefined();
    else expect(update.prefix).toMatchObject(expected);
    for (const one of update.update) expect(one.path?.origin).toBe(pathOrigin);
  }
});

test.each(['JSON', 'JSON_IETF'] as const)(
  '%s gives bare JSON values of that kind only (E7, E8, V10, V11)',
  async (encoding) => {
    const subscriber = once(streamOf(['/'], { mode: 'ONCE', encoding }));
    await subscriber.ended();
    const kinds = new Set([...subscriber.leaves.values()].map(({ value }) => value?.kind));
    expect([...kinds]).toEqual([encoding === 'JSON' ? 'json' : 'json_ietf']);
    const value = subscriber.leaves.get(octets)!.value!;
    const exact = device.truth().get(octets)!.value;
    const digits = exact.kind === 'uint' ? exact.value.toString() : '';
    expect(value.kind === 'json' || value.kind === 'json_ietf' ? value.value.toString() : '').toBe(
      encoding === 'JSON' ? digits : `"${digits}"`,
    );
  },
);

test('Capabilities says version, models and encodings (E1); Set is refused at once', async () => {
  const capabilities = gnmi.CapabilityResponse.decode(await client.unary('Capabilities', Buffer.alloc(0)));
  expect(capabilities.gnmiVersion).toBe('0.10.0');
  expect(capabilities.supportedEncodings).toEqual(['PROTO', 'JSON_IETF', 'JSON']);
  expect(capabilities.supportedModels.map(({ name }) => name)).toContain('openconfig-interfaces');
  await expect(client.unary('Set', gnmi.SetRequest.encode({}))).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
});

test('Get: one notification per path, NOT_FOUND for what is absent, nested JSON with lists (G1, G3, G5)', async () => {
  const get = async (paths: readonly string[], encoding: 'PROTO' | 'JSON_IETF' = 'PROTO') =>
    gnmi.GetResponse.decode(await client.unary('Get', gnmi.GetRequest.encode({ encoding, path: paths.map(path) })));
  const two = await get([counters, '/simulator/state/name']);
  expect(two.notification.map(({ update }) => update.length)).toEqual([12, 1]);
  await expect(get(['/absent'])).rejects.toMatchObject({ code: status.NOT_FOUND });
  const nested = await get(['/interfaces'], 'JSON_IETF');
  const value = decodeTypedValue(nested.notification[0]!.update[0]!.val!);
  const document = JSON.parse(value?.kind === 'json_ietf' ? value.value.toString() : '') as {
    interface: { name: string; state: { mtu: string } }[];
  };
  expect(document.interface.map((one) => [one.name, one.state.mtu])).toEqual([
    ['Ethernet1/1', '9000'],
    ['Ethernet1/2', '9000'],
  ]);
});
