import { type DeviceOffer, planRpcs } from '../../ingest/subscription-plan.ts';
import { Session, type SessionObserver, type SessionOptions, type SessionOutcome } from '../../ingest/session.ts';
import { HoldfastError } from '../../core/errors.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { type Device } from '../../schemas/device.ts';
import { SlotWriter } from '../../ingest/slot-writer.ts';
import { type StatusGap } from '../../ingest/device-status.ts';
import { type DeviceFailure } from '../../ingest/transport.ts';
import {
  createIngestBench,
  deviceRecord,
  type IngestBench,
  profileRecord,
  subscription,
} from '../support/ingest-bench.ts';
import { eventually } from '../support/eventually.ts';
import { RecordedLog, recordedContext } from '../support/recorded-log.ts';
import { ScriptedDevice, type ScriptedDeviceOptions, updateMessage } from '../support/scripted-device.ts';

/** One session with a scripted device over a real socket; the log only records. */
const devices: ScriptedDevice[] = [];
const sessions: Session[] = [];
let bench: IngestBench;

interface Heard {
  offers: DeviceOffer[];
  dialled: number;
  connected: number;
  synced: number;
  gaps: StatusGap[];
  odd: string[];
}

async function scripted(options: ScriptedDeviceOptions = {}): Promise<ScriptedDevice> {
  const device = await new ScriptedDevice(options).start();
  devices.push(device);
  return device;
}

function open(
  device: ScriptedDevice,
  log: RecordedLog,
  options: { record?: Partial<Device>; limits?: Partial<SessionOptions['limits']>; profiles?: string[] } = {},
): { session: Session; heard: Heard } {
  const heard: Heard = { offers: [], dialled: 0, connected: 0, synced: 0, gaps: [], odd: [] };
  const observer: SessionObserver = {
    onOffer: (offer) => heard.offers.push(offer),
    onDialled: () => (heard.dialled += 1),
    onConnected: () => (heard.connected += 1),
    onSynced: () => (heard.synced += 1),
    onGap: (gap) => heard.gaps.push(gap),
    onOddity: (what) => heard.odd.push(what),
  };
  const record = deviceRecord('leaf-1', options.record);
  const profiles = (options.profiles ?? []).map((path) =>
    profileRecord(path, { updatesOnly: true, subscriptions: [subscription(path)] }),
  );
  const { settings } = bench.context;
  const session = new Session(bench.context.session, {
    log: new SlotWriter(0, log, recordedContext()).device('leaf-1'),
    account: bench.budget.account(),
    limits: { ...settings, ...options.limits },
    dialTarget: () => ({
      device: 'leaf-1',
      address: device.address,
      tls: null,
      credentials: null,
      receiveBytesMax: settings.maxMessageBytes,
      receiveWindowBytes: settings.receiveWindowBytes,
    }),
    planRpcs: (offer) => planRpcs(record, profiles, offer),
    observer,
  });
  sessions.push(session);
  session.start();
  return { session, heard };
}

const failureOf = (outcome: SessionOutcome): DeviceFailure | null =>
  outcome.kind === 'failed' ? outcome.failure : null;

beforeEach(async () => {
  bench = createIngestBench();
  await bench.start();
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.drop();
  for (const device of devices.splice(0)) device.stop();
  await bench.stop();
});

test('a session says opened, the bytes as received, synced, and closed at the end', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session, heard } = open(device, log);
  const stream = await device.stream(0);
  expect((await stream.requested()).subscribe).toMatchObject({
    encoding: 'PROTO',
    mode: 'STREAM',
    prefix: { target: 'leaf-1' },
  });
  expect(heard.connected).toBe(0); // T18: not before it has sent something
  const first = stream.update(1);
  stream.sync();
  const second = stream.update(18446744073709551615n);
  await eventually('four records', 3_000, () => log.telemetry.length === 4);
  session.close('drain');
  expect(await session.outcome).toEqual({ kind: 'closed' });
  await stream.closed();
  expect(log.kinds('leaf-1')).toEqual(['opened', 'data', 'synced', 'data', 'closed']);
  const data = log.telemetry.filter(({ kind }) => kind === 'data');
  expect(data.map(({ value }) => value)).toEqual([first, second]); // L4: not re-encoded
  expect(log.markers('opened')[0]).toMatchObject({
    device: 'leaf-1',
    address: device.address,
    encoding: 'proto',
    instance: 'ingest-1',
    subscriptions: [{ rpc: 0, updatesOnly: false, subscription: { path: '/a', mode: 'on-change' } }],
  });
  expect(log.markers('closed')[0]).toMatchObject({ reason: 'drain' });
  expect(heard).toMatchObject({ dialled: 2, connected: 1, synced: 1, offers: [{ gnmiVersion: '0.10.0' }] });
});

test('S11 S12: synced after the sync of every RPC; sync_response false is none, a second sync is tolerated', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { heard } = open(device, log, { profiles: ['/b'] });
  const [one, two] = [await device.stream(0), await device.stream(1)];
  const oneIsB = (await one.requested()).subscribe?.updatesOnly === true;
  one.sync(false);
  one.update(1);
  one.sync();
  await eventually('a record', 3_000, () => log.telemetry.length === 2);
  expect(heard.synced).toBe(0);
  two.update(2);
  two.sync();
  two.sync();
  await eventually('synced', 3_000, () => heard.synced === 1);
  expect(log.markers('synced')).toHaveLength(1);
  const rpcs = log.telemetry.filter(({ kind }) => kind === 'data').map(({ rpc }) => rpc);
  expect(rpcs).toEqual(oneIsB ? [1, 2] : [2, 1]); // A9: the record says which RPC it came from
});

test.each([
  [
    'E2: a device without Capabilities is subscribed, with JSON',
    { capabilitiesStatus: { code: 12, details: 'no' } },
    'JSON',
  ],
  ['E3: the best encoding on offer is taken', { encodings: ['JSON', 'JSON_IETF'] as const }, 'JSON_IETF'],
])('%s', async (_name, options, encoding) => {
  const device = await scripted(options);
  open(device, new RecordedLog());
  expect((await (await device.stream(0)).requested()).subscribe?.encoding).toBe(encoding);
});

test.each([
  ['UNAUTHENTICATED', 'slowly', { refuse: { code: 16, details: 'bad password' } }],
  ['PERMISSION_DENIED', 'slowly', { refuse: { code: 7, details: 'not yours' } }],
  ['SUBSCRIPTION_REFUSED', 'slowly', { refuse: { code: 3, details: 'no such path' } }],
  ['ENCODING_UNSUPPORTED', 'slowly', { refuse: { code: 12, details: 'unsupported encoding PROTO' } }],
  ['SUBSCRIPTION_LIMIT', 'soon', { refuse: { code: 8, details: 'too many subscriptions' } }],
  ['UNREACHABLE', 'soon', { refuse: { code: 14, details: 'going down' } }],
  ['UNAUTHENTICATED', 'slowly', { capabilitiesStatus: { code: 16, details: 'who are you' } }],
  ['UNREACHABLE', 'soon', { mute: true }],
])('T19: %s, retried %s, and no marker of a session that heard nothing', async (code, retry, options) => {
  const device = await scripted(options);
  const log = new RecordedLog();
  const { session, heard } = open(device, log, { limits: { dialTimeoutMs: 300 } });
  const outcome = await session.outcome;
  expect(failureOf(outcome)).toMatchObject({ code, retry });
  expect(outcome).toMatchObject({ heard: false, uptimeMs: 0 });
  expect(heard.dialled).toBeGreaterThan(0);
  expect(log.telemetry).toEqual([]);
});

test('T17: a lost stream is a closed marker with its cause', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log);
  const stream = await device.stream(0);
  stream.update(1);
  await eventually('the record', 3_000, () => log.telemetry.length === 2);
  device.stop();
  expect(failureOf(await session.outcome)?.code).toBe('UNREACHABLE');
  expect(log.markers('closed')).toMatchObject([{ reason: 'error' }]);
});

test('a stream that the device ends is ended, not failed', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log);
  const stream = await device.stream(0);
  stream.update(1);
  stream.end();
  expect(await session.outcome).toMatchObject({ kind: 'ended' });
  expect(log.markers('closed')).toMatchObject([{ reason: 'ended' }]);
});

test('T20: deprecated errors and empty responses are reported, later updates arrive', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { heard } = open(device, log);
  const stream = await device.stream(0);
  stream.send(gnmi.SubscribeResponse.encode({ error: { code: 3, message: 'old style' } }));
  stream.send(Buffer.alloc(0));
  stream.update(1);
  await eventually('the update', 3_000, () => log.kinds('leaf-1').filter((kind) => kind === 'data').length === 2);
  expect(heard.odd).toEqual(['deprecated error response', 'empty response']);
});

test('garbage is a gap marker with a count, and the stream goes on', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session, heard } = open(device, log);
  const stream = await device.stream(0);
  for (let n = 0; n < 5; n += 1) stream.send(Buffer.from([0x0a, 0xff, 0xff, 0x01]));
  stream.update(1);
  await eventually('the update', 3_000, () => log.kinds('leaf-1').includes('data'));
  session.close('removed');
  const gaps = log.markers('gap');
  expect(gaps.map(({ reason }) => reason)).toEqual(['malformed', 'malformed']); // the first at once, the rest together
  expect(gaps.reduce((sum, { lost }) => sum + lost, 0n)).toBe(5n);
  expect(heard.gaps.map(({ code }) => code)).toEqual(['MESSAGE_MALFORMED', 'MESSAGE_MALFORMED']); // a status per marker
  expect(log.kinds('leaf-1').at(-1)).toBe('closed');
});

test('T11: a message over the limit ends the session with a gap marker that says how to take it', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log);
  const stream = await device.stream(0);
  stream.update(1);
  stream.send(updateMessage(2, 2n, 2_000_000));
  const failure = failureOf(await session.outcome);
  expect(failure).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retry: 'slowly' });
  expect(failure?.detail).toContain('maxMessageBytes');
  expect(log.kinds('leaf-1')).toEqual(['opened', 'data', 'gap', 'closed']);
  expect(log.markers('gap')).toMatchObject([{ reason: 'too-large', lost: 1n }]);
});

test('S12: no sync in time is SYNC_TIMEOUT', async () => {
  const device = await scripted();
  const { session } = open(device, new RecordedLog(), { limits: { syncTimeoutMs: 200 } });
  (await device.stream(0)).update(1);
  expect(failureOf(await session.outcome)?.code).toBe('SYNC_TIMEOUT');
});

test('T13: silence past the receive time-out is RECEIVE_TIMEOUT; without one silence is fine', async () => {
  const device = await scripted();
  const patient = open(device, new RecordedLog());
  (await device.stream(0)).sync();
  const { session } = open(device, new RecordedLog(), { limits: { receiveTimeoutMs: 200 } });
  (await device.stream(1)).sync();
  expect(failureOf(await session.outcome)?.code).toBe('RECEIVE_TIMEOUT');
  expect(patient.heard.synced).toBe(1);
  patient.session.close('drain');
  expect(await patient.session.outcome).toEqual({ kind: 'closed' });
});

test('a session without credit is paused, held back by HTTP/2, and goes on in order when Kafka acks', async () => {
  await bench.stop();
  bench = createIngestBench({ maxPauseMs: 10_000 });
  await bench.start();
  const device = await scripted();
  const log = new RecordedLog();
  log.acking = false;
  const { session } = open(device, log);
  const stream = await device.stream(0);
  stream.sync();
  for (let n = 0; n < 100; n += 1) stream.send(updateMessage(n, BigInt(n + 1), 20_000)); // 2 MB; a session's share is 128 KiB
  await eventually('paused', 3_000, () => log.unackedBytes >= 131_072);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(log.unackedBytes).toBeLessThan(131_072 + 2 * 20_100); // not a message more than the one in hand
  log.acking = true;
  log.ackAll();
  await eventually('everything', 5_000, () => log.kinds('leaf-1').filter((kind) => kind === 'data').length === 100);
  const times = log.telemetry
    .filter(({ kind }) => kind === 'data')
    .map(({ value }) => gnmi.SubscribeResponse.decode(value).update?.timestamp);
  expect(times).toEqual(Array.from({ length: 100 }, (_, n) => BigInt(n + 1)));
  session.close('drain');
  await eventually('all credit back', 3_000, () => bench.budget.usedBytes === 0);
});

test('a pause longer than allowed ends the session with reason overload', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  log.acking = false;
  const { session } = open(device, log);
  const stream = await device.stream(0);
  for (let n = 0; n < 20; n += 1) stream.send(updateMessage(n, BigInt(n), 20_000));
  expect(await session.outcome).toMatchObject({ kind: 'overload' });
  expect(log.markers('closed')).toMatchObject([{ reason: 'overload' }]);
  await stream.closed();
});

test('L3: a message that comes while the lease is not live is held, and appended in order when it is again', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log, { limits: { maxPauseMs: 10_000 } });
  const stream = await device.stream(0);
  stream.update(1, 1n);
  await eventually('the record', 3_000, () => log.telemetry.length === 2);
  bench.lease.live = false;
  for (let n = 2; n <= 30; n += 1) stream.update(n, BigInt(n));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(log.kinds('leaf-1')).toEqual(['opened', 'data']);
  bench.lease.live = true;
  await eventually('all of them', 3_000, () => log.kinds('leaf-1').length === 31);
  const times = log.telemetry.slice(1).map(({ value }) => gnmi.SubscribeResponse.decode(value).update?.timestamp);
  expect(times).toEqual(Array.from({ length: 30 }, (_, n) => BigInt(n + 1)));
  session.close('drain');
});

test('L3: when the slot is dropped, what was held is not appended, and the socket is gone', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log);
  const stream = await device.stream(0);
  stream.update(1);
  await eventually('the record', 3_000, () => log.telemetry.length === 2);
  bench.lease.live = false;
  stream.update(2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  session.drop();
  bench.lease.live = true;
  expect(await session.outcome).toMatchObject({ kind: 'dropped' });
  await stream.closed();
  expect(log.kinds('leaf-1')).toEqual(['opened', 'data']);
});

test('L3: a lease that does not come back ends the session without a word', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log, { limits: { maxPauseMs: 100 } });
  const stream = await device.stream(0);
  bench.lease.live = false;
  stream.update(1);
  expect(await session.outcome).toMatchObject({ kind: 'dropped' });
  expect(log.telemetry).toEqual([]);
});

test('S1: while the lease is not live no time-out is said either', async () => {
  const device = await scripted();
  const log = new RecordedLog();
  const { session } = open(device, log, { limits: { syncTimeoutMs: 100, receiveTimeoutMs: 100 } });
  const stream = await device.stream(0);
  stream.update(1);
  await eventually('the record', 3_000, () => log.telemetry.length === 2);
  bench.lease.live = false;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(log.kinds('leaf-1')).toEqual(['opened', 'data']);
  bench.lease.live = true;
  expect(failureOf(await session.outcome)?.code).toBe('SYNC_TIMEOUT');
});

test('S1: with the lease gone between Capabilities and Subscribe nobody subscribes', async () => {
  const device = await scripted();
  bench.lease.live = false;
  const { session } = open(device, new RecordedLog());
  expect(await session.outcome).toEqual({ kind: 'dropped', heard: false });
  expect(device.streams).toEqual([]);
});

test('drop says nothing and appends nothing more, in any phase', async () => {
  const device = await scripted({ mute: true });
  const log = new RecordedLog();
  const { session } = open(device, log);
  await eventually('the dial', 3_000, () => device.metadata.length === 1);
  session.drop();
  session.drop();
  session.close('moved');
  expect(await session.outcome).toMatchObject({ kind: 'dropped' });
  expect(log.telemetry).toEqual([]);
});

test('T10: secrets that cannot be used end the session before anything is dialled', async () => {
  const log = new RecordedLog();
  const failing = new Session(bench.context.session, {
    log: new SlotWriter(0, log, recordedContext()).device('leaf-1'),
    account: bench.budget.account(),
    limits: bench.context.settings,
    dialTarget: () => {
      throw new HoldfastError('CREDENTIALS_INVALID', 'credentials.password holds a line end');
    },
    planRpcs: () => ({ kind: 'rpcs', rpcs: [] }),
    observer: {
      onOffer: () => undefined,
      onDialled: () => undefined,
      onConnected: () => undefined,
      onSynced: () => undefined,
      onGap: () => undefined,
      onOddity: () => undefined,
    },
  });
  failing.start();
  expect(failureOf(await failing.outcome)).toMatchObject({ code: 'CREDENTIALS_INVALID' });
});
