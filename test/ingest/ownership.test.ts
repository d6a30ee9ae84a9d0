import { type DeviceCatalogue } from '../../ingest/device-catalogue.ts';
import { type IngestSlots } from '../../ingest/ownership.ts';
import { type Takeover } from '../../core/kafka/slot-host.ts';
import { type Device } from '../../schemas/device.ts';
import {
  type createIngestBench,
  deviceRecord,
  type IngestBench,
  profileRecord,
  subscription,
} from '../support/ingest-bench.ts';
import { eventually } from '../support/eventually.ts';
import { createHeldSlot, type HeldSlot } from '../support/held-slot.ts';
import { RecordedLog } from '../support/recorded-log.ts';
import { ScriptedDevice, type ScriptedDeviceOptions, updateMessage } from '../support/scripted-device.ts';

/** A held slot with real devices: what the lock calls, what operators change, what devices and Kafka do to it. */
const takeover: Takeover = { fromEpoch: 6n, fromSeq: 41n, committedOffset: 0n, applied: null, reason: 'crash' };
const never = new AbortController().signal;
const devices: ScriptedDevice[] = [];
let bench: IngestBench;
let host: IngestSlots;
let catalogue: DeviceCatalogue;
let log: RecordedLog;
let statuses: Map<string, { gaps: bigint }>;
let lines: string[];
let held: HeldSlot;

async function scripted(options: ScriptedDeviceOptions = {}): Promise<ScriptedDevice> {
  const device = await new ScriptedDevice(options).start();
  devices.push(device);
  return device;
}

async function setUp(settings: Parameters<typeof createIngestBench>[0] = {}): Promise<void> {
  await (held as HeldSlot | undefined)?.bench.stop();
  held = await createHeldSlot(settings);
  ({ bench, host, catalogue, statuses, lines } = held);
  log = new RecordedLog();
}

async function hold(): Promise<void> {
  await host.begin(0, log, takeover, never);
  host.activate(0);
}

const put = (name: string, device: ScriptedDevice, fields: Partial<Device> = {}): void =>
  catalogue.setDevice(name, deviceRecord(name, { addresses: [device.address], ...fields }));
const stateOf = (name: string) => log.statusOf(name)?.state;

beforeEach(() => setUp());

afterEach(async () => {
  await host.drop(0);
  for (const device of devices.splice(0)) device.stop();
  await bench.stop();
});

test('H1: the owner marker is first and acked before any session; devices of the slot follow', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await host.begin(0, log, takeover, never);
  expect(log.telemetry).toMatchObject([
    { key: 'slot/0', kind: 'owner', seq: 1n, marker: { reason: 'crash', detail: 'after 0:6:41' } },
  ]);
  expect(device.metadata).toEqual([]);
  host.activate(0);
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  expect(log.statuses.map(({ status }) => status?.state)).toEqual(['connecting', 'connected', 'synced']);
  expect(log.statuses.at(-1)).toMatchObject({
    seq: log.lastSeq,
    status: { gnmiVersion: '0.10.0', encodings: ['proto', 'json'] },
  });
});

test('a change of a record: what changes nothing disturbs nothing, what does closes with reason changed', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  (await device.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  put('leaf-1', device, {
    changedBy: 'somebody',
    changedAtNs: 5n,
    labels: new Map([['site', 'fra']]),
    explodeJson: true,
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(log.markers('closed')).toEqual([]);
  put('leaf-1', device, { subscriptions: [subscription('/b')] });
  await device.stream(1);
  expect(log.markers('closed')).toMatchObject([{ reason: 'changed' }]);
  expect(device.openMax).toBe(1); // V1
});

test('S4: a changed profile restarts the sessions that use it, and no other', async () => {
  const [one, two] = [await scripted(), await scripted()];
  catalogue.setProfile('p', profileRecord('p', { subscriptions: [subscription('/p')] }));
  put('leaf-1', one, { subscriptions: [], profiles: ['p'] });
  put('leaf-2', two);
  await hold();
  (await one.stream(0)).sync();
  (await two.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced' && stateOf('leaf-2') === 'synced');
  catalogue.setProfile('p', profileRecord('p', { subscriptions: [subscription('/q')] }));
  expect((await (await one.stream(1)).requested()).subscribe?.subscription[0]?.path?.elems[0]?.name).toBe('q');
  expect(two.streams).toHaveLength(1);
});

test('T15: a removed device is let go at once, in a session and in back-off; its status is nulled', async () => {
  const [up, down] = [await scripted(), await scripted({ refuse: { code: 16, details: 'no' } })];
  put('up', up);
  put('down', down);
  await hold();
  (await up.stream(0)).sync();
  await eventually('both settled', 3_000, () => stateOf('up') === 'synced' && stateOf('down') === 'waiting');
  expect(log.statusOf('down')).toMatchObject({ code: 'UNAUTHENTICATED' });
  catalogue.setDevice('up', undefined);
  catalogue.setDevice('down', undefined);
  // V3: also of a device without a session, whose leaves are those of an earlier one
  expect(log.markers('closed')).toMatchObject([
    { device: 'up', reason: 'removed' },
    { device: 'down', reason: 'removed' },
  ]);
  await eventually('null statuses', 3_000, () => log.statusOf('up') === null && log.statusOf('down') === null);
  await (await up.stream(0)).closed();
  expect(host.sessionsByState()).toEqual(new Map());
});

test('a removed device that comes back gets a session after the old one is gone', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  (await device.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  catalogue.setDevice('leaf-1', undefined);
  put('leaf-1', device);
  await device.stream(1);
  expect(device.openMax).toBe(1);
  expect(log.statusOf('leaf-1')).not.toBeNull();
});

test('T14: a lost device is redialled with growing waits, and its status says why and when', async () => {
  const device = await scripted();
  device.stop();
  put('leaf-1', device);
  await hold();
  await eventually(
    'several attempts',
    5_000,
    () => log.statuses.filter(({ status }) => status?.state === 'waiting').length > 4,
  );
  const waits = log.statuses.flatMap(({ status }) =>
    status?.state === 'waiting' ? [{ code: status.code, hasRetry: status.retryAtNs > 0n }] : [],
  );
  expect(waits[0]).toEqual({ code: 'UNREACHABLE', hasRetry: true });
  expect(log.statusOf('leaf-1')?.detail).toContain(device.address);
});

test('T14: a device that syncs and dies is not redialled faster for it', async () => {
  await setUp({ redialMs: 100, redialMsMax: 60_000 });
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const startedAt = performance.now();
  for (let n = 0; n < 4; n += 1) {
    const stream = await device.stream(n, 10_000);
    stream.sync();
    await eventually('connected', 3_000, () => log.markers('synced').length === n + 1);
    stream.fail();
  }
  expect(performance.now() - startedAt).toBeGreaterThan((100 + 200 + 400) * 0.5); // not three times 100 ± 50
  await eventually('four ends', 3_000, () => log.markers('closed').length === 4);
});

test('T16: addresses are tried in order; when all are bad the status names each', async () => {
  const [dead, alive] = [await scripted(), await scripted()];
  dead.stop();
  put('leaf-1', alive, { addresses: [dead.address, alive.address] });
  catalogue.setDevice('leaf-2', deviceRecord('leaf-2', { addresses: [dead.address, '127.0.0.1:1'] }));
  await hold();
  (await alive.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  expect(log.statusOf('leaf-1')?.address).toBe(alive.address);
  const waiting = await eventually('waiting', 3_000, () =>
    log.statuses.find(({ device, status }) => device === 'leaf-2' && status?.state === 'waiting'),
  );
  expect(waiting.status?.detail).toContain(dead.address);
  expect(waiting.status?.detail).toContain('127.0.0.1:1:');
});

test('a device that cannot have a session is stopped, with the reason', async () => {
  const device = await scripted();
  put('off', device, { disabled: true });
  put('lost', device, { subscriptions: [], profiles: ['nowhere'] });
  put('bare', device, { subscriptions: [] });
  await hold();
  expect([stateOf('off'), stateOf('lost'), stateOf('bare')]).toEqual(['stopped', 'stopped', 'stopped']);
  expect(log.statusOf('lost')?.detail).toContain('nowhere');
  expect(device.metadata).toEqual([]);
  put('off', device, { disabled: false });
  await device.stream(0);
});

test('two devices with one address are a warning that names both', async () => {
  const device = await scripted();
  await hold();
  put('leaf-1', device);
  put('leaf-2', device);
  expect(lines.filter((line) => line.includes('address used by several devices'))).toMatchObject([
    expect.stringMatching(/leaf-2.*leaf-1/),
  ]);
});

test('release: closed markers, everything acked, the last seq; nothing is left', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.update(1);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  log.acking = false;
  stream.update(2);
  await eventually('the update', 3_000, () => log.kinds('leaf-1').at(-1) === 'data');
  let released: bigint | null | undefined;
  const releasing = host.release(0, 'moved', never).then(({ lastSeq }) => (released = lastSeq));
  await stream.closed();
  expect(log.markers('closed')).toMatchObject([{ reason: 'moved' }]);
  expect(released).toBeUndefined(); // not before everything is acked
  log.ackAll();
  await releasing;
  expect(released).toBe(log.lastSeq);
  expect([host.held(), bench.budget.usedBytes]).toEqual([0, 0]);
});

test('H2: drop destroys sockets at once and says nothing; what was unacked is a gap when the slot comes back', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  log.acking = false;
  stream.send(updateMessage(1, 1n, 1_000));
  await eventually('the update', 3_000, () => log.kinds('leaf-1').at(-1) === 'data');
  const before = log.telemetry.length;
  const dropped = host.drop(0);
  expect(host.held()).toBe(0);
  await dropped;
  await stream.closed();
  expect(log.telemetry).toHaveLength(before);
  expect(held.discardedBytes).toBeGreaterThan(1_000);
  expect(bench.budget.usedBytes).toBe(0);
  log = new RecordedLog();
  statuses.set('leaf-1', { gaps: 2n });
  await hold();
  (await device.stream(1)).sync();
  await eventually('synced again', 3_000, () => stateOf('leaf-1') === 'synced');
  expect(log.kinds('leaf-1')).toEqual(['gap', 'opened', 'synced']);
  expect(log.markers('gap')[0]).toMatchObject({ reason: 'overload', device: 'leaf-1' });
  expect(log.markers('gap')[0]?.lostFromNs).toBeGreaterThan(0n);
  const { lostFromNs: gapFromNs, lostToNs: gapToNs } = log.markers('gap')[0]!;
  expect(log.statusOf('leaf-1')).toMatchObject({ gaps: 3n, gapFromNs, gapToNs });
});

test('a lease that is not live for longer than a pause costs the session; it comes back with the lease', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  bench.lease.live = false;
  stream.update(1);
  await stream.closed();
  const before = log.telemetry.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([device.streams.length, log.telemetry.length]).toEqual([1, before]);
  bench.lease.live = true;
  (await device.stream(1)).sync();
  await eventually('synced again', 3_000, () => log.markers('synced').length === 2);
  expect(log.kinds('leaf-1')).toEqual(['opened', 'synced', 'closed', 'opened', 'synced']); // S5
  expect(log.markers('closed')[0]?.detail).toContain('lease');
});

test('Kafka away: the session ends with overload, waits for room, and is opened again', async () => {
  await setUp({ maxPauseMs: 200 });
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  log.acking = false;
  for (let n = 0; n < 100; n += 1) stream.send(updateMessage(n, BigInt(n), 20_000));
  await eventually('waiting', 5_000, () => stateOf('leaf-1') === 'waiting');
  expect(log.markers('closed')).toMatchObject([{ reason: 'overload' }]);
  expect(log.statusOf('leaf-1')?.detail).toContain('Kafka');
  log.acking = true;
  log.ackAll();
  (await device.stream(1)).sync();
  await eventually('synced again', 3_000, () => stateOf('leaf-1') === 'synced');
});

test('a message that Kafka refuses for good is counted in the status, and the session goes on', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  (await device.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  host.messageRefused('leaf-1', 'too large');
  expect(log.statusOf('leaf-1')).toMatchObject({ state: 'synced', code: 'MESSAGE_TOO_LARGE', gaps: 1n });
});

test('fifty devices at once are dialled a few at a time, and all of them sync', async () => {
  const device = await scripted();
  for (let n = 0; n < 50; n += 1) put(`leaf-${n}`, device);
  await hold();
  for (let n = 0; n < 50; n += 1) (await device.stream(n)).sync();
  await eventually('all synced', 5_000, () => host.sessionsByState().get('synced') === 50);
});
