import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Takeover } from '../../core/kafka/slot-host.ts';
import { type Device } from '../../schemas/device.ts';
import { slotOf } from '../../schemas/slot.ts';
import { eventually } from '../support/eventually.ts';
import { deviceRecord, subscription } from '../support/ingest-bench.ts';
import { type Link, linkTo } from '../support/link.ts';
import { RecordedLog } from '../support/recorded-log.ts';
import { ScriptedDevice, type ScriptedDeviceOptions } from '../support/scripted-device.ts';
import { createStandbyBench, type StandbyBench, type StandbyBenchOptions } from './standby-bench.ts';

/** A worker that stands by, with real devices behind links that count connections: what they see before, at and after a takeover. */
const takeover: Takeover = { fromEpoch: 6n, fromSeq: 41n, committedOffset: 0n, applied: null, reason: 'crash' };
const never = new AbortController().signal;
const devices: ScriptedDevice[] = [];
const links: Link[] = [];
let worker: StandbyBench;
let log: RecordedLog;

async function reachable(options: ScriptedDeviceOptions = {}): Promise<{ device: ScriptedDevice; link: Link }> {
  const device = await new ScriptedDevice(options).start();
  devices.push(device);
  const link = await linkTo(device.address);
  links.push(link);
  return { device, link };
}

async function setUp(options: StandbyBenchOptions = {}): Promise<void> {
  worker = await createStandbyBench(options);
  log = new RecordedLog();
}

const addressOf = ({ address }: Link): string => `${address.host}:${address.port}`;
const put = (name: string, link: Link, fields: Partial<Device> = {}): void =>
  worker.catalogue.setDevice(name, deviceRecord(name, { addresses: [addressOf(link)], ...fields }));
const warm = (slot = 0): Promise<boolean> => eventually('warm', 5_000, () => worker.standby.isWarm(slot));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function hold(slot = 0): Promise<void> {
  await worker.host.begin(slot, log, takeover, never);
  worker.host.activate(slot);
}

afterEach(async () => {
  await worker.stop();
  for (const link of links.splice(0)) await link.close();
  for (const device of devices.splice(0)) device.stop();
});

test('B1, B3: a takeover uses the prepared connection: one connection, one Capabilities, one Subscribe, in all', async () => {
  await setUp();
  const { device, link } = await reachable();
  put('leaf-1', link);
  expect(link.accepted).toBe(0);
  worker.standby.prepare(new Set([0]));
  expect(worker.standby.isWarm(0)).toBe(false);
  await warm();
  expect([device.metadata.length, device.streams.length, await worker.gauge()]).toEqual([1, 0, 1]); // no Subscribe
  expect(log.telemetry).toEqual([]);
  await hold();
  worker.standby.prepare(new Set()); // the plan no longer names us standby: the session keeps what it took
  (await device.stream(0)).sync();
  await eventually('synced', 3_000, () => log.statusOf('leaf-1')?.state === 'synced');
  expect([link.accepted, device.metadata.length, device.streams.length]).toEqual([1, 2, 1]);
  expect(log.statusOf('leaf-1')).toMatchObject({ gnmiVersion: '0.10.0', encodings: ['proto', 'json'] });
  expect([await worker.outcomes(), await worker.gauge()]).toEqual([{ used: 1 }, 0]);
});

test('control: with connectionsMax 0 nothing is prepared, a slot is warm by its records, and a takeover dials', async () => {
  await setUp({ connectionsMax: 0 });
  const { device, link } = await reachable();
  put('leaf-1', link);
  worker.tables.caughtUp = false;
  worker.standby.prepare(new Set([0]));
  expect(worker.standby.isWarm(0)).toBe(false);
  worker.tables.caughtUp = true;
  expect(worker.standby.isWarm(0)).toBe(true);
  await pause(100);
  expect(link.accepted).toBe(0);
  await hold();
  await device.stream(0);
  expect([link.accepted, await worker.outcomes()]).toEqual([1, {}]);
});

test('a device that closes its prepared connection is prepared again, with back-off', async () => {
  await setUp();
  const { device, link } = await reachable();
  put('leaf-1', link);
  worker.standby.prepare(new Set([0]));
  await warm();
  link.cut();
  await eventually('prepared again', 3_000, async () => link.accepted === 2 && (await worker.gauge()) === 1);
  expect(await worker.outcomes()).toEqual({ ended: 1 });
  expect(worker.standby.isWarm(0)).toBe(true); // B2
  await hold();
  await device.stream(0);
  expect(link.accepted).toBe(2);
});

test('B2: a device that does not answer makes no slot wait; it is dialled by its session', async () => {
  await setUp({ settings: { redialMs: 10_000, redialMsMax: 60_000 } });
  const { device, link } = await reachable();
  link.down = true;
  put('leaf-1', link);
  put('off', link, { disabled: true });
  put('bare', link, { subscriptions: [] });
  worker.standby.prepare(new Set([0]));
  await warm();
  expect([await worker.outcomes(), await worker.gauge()]).toEqual([{ failed: 1 }, 0]);
  link.down = false;
  await hold();
  await device.stream(0); // at once: the back-off of preparing is not the session's
});

test('V5, S6: a prepared connection that died without a word costs a time-out and no back-off; the device is dialled', async () => {
  await setUp({ settings: { dialTimeoutMs: 1_200 } });
  const [dying, alive] = [await reachable(), await reachable()];
  put('leaf-1', dying.link, { addresses: [addressOf(dying.link), addressOf(alive.link)] });
  worker.standby.prepare(new Set([0]));
  await warm();
  dying.link.blackHole = true;
  await hold();
  (await alive.device.stream(0, 6_000)).sync();
  await eventually('synced', 3_000, () => log.statusOf('leaf-1')?.state === 'synced');
  expect([dying.link.accepted, alive.link.accepted]).toEqual([2, 1]); // T16: dialled in order, after all
  expect(log.statuses.map(({ status }) => status?.state)).not.toContain('waiting');
});

test('V5: a prepared connection that the device has just closed is no failure either', async () => {
  await setUp();
  const { device, link } = await reachable();
  put('leaf-1', link);
  worker.standby.prepare(new Set([0]));
  await warm();
  await worker.host.begin(0, log, takeover, never);
  link.cut();
  worker.host.activate(0); // in the same turn: nobody has noticed
  await device.stream(0);
  expect([link.accepted, await worker.outcomes()]).toEqual([2, { used: 1 }]);
  expect(log.statuses.map(({ status }) => status?.state)).not.toContain('waiting');
});

test('S6: a device that takes its time with the first message keeps its session', async () => {
  await setUp({ settings: { dialTimeoutMs: 1_200 } });
  const { device, link } = await reachable();
  put('leaf-1', link);
  worker.standby.prepare(new Set([0]));
  await warm();
  await hold();
  const stream = await device.stream(0);
  await pause(2_000); // longer than a dial may take
  expect([stream.gone, link.accepted, device.metadata.length]).toEqual([false, 1, 3]); // Capabilities once more
});

test('a changed record: prepared anew where it is dialled differently, undisturbed where not', async () => {
  await setUp();
  const [one, two] = [await reachable(), await reachable()];
  put('leaf-1', one.link);
  worker.standby.prepare(new Set([0]));
  await warm();
  put('leaf-1', one.link, { subscriptions: [subscription('/b')] });
  await pause(50);
  expect(one.link.accepted).toBe(1);
  put('leaf-1', two.link);
  await eventually('prepared at the other address', 3_000, () => two.device.metadata.length === 1);
  await eventually('dropped', 3_000, async () => (await worker.outcomes())['dropped'] === 1);
  worker.catalogue.setDevice('leaf-1', undefined);
  expect(await worker.gauge()).toBe(0);
});

test('R5, Q3: with other secrets the prepared connection is made anew, and never used', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-'));
  try {
    const file = join(dir, 'password');
    await writeFile(file, 'old');
    await setUp();
    const { device, link } = await reachable();
    put('leaf-1', link, { credentials: { username: 'ops', password: `file:${file}` } });
    worker.standby.prepare(new Set([0]));
    await warm();
    await writeFile(file, 'new');
    await eventually('made anew', 4_000, () => device.metadata.length === 2);
    await eventually('ready', 3_000, async () => (await worker.gauge()) === 1);
    await writeFile(file, 'newest');
    await hold();
    await device.stream(0);
    expect(device.metadata.map((one) => one.get('password')[0])).toEqual(['old', 'new', 'newest', 'newest']);
    expect(await worker.outcomes()).toMatchObject({ dropped: 2 });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('T16, Q2: the first address that answers is prepared, and used first; the others follow if it is dead', async () => {
  await setUp({ settings: { dialTimeoutMs: 300 } });
  const [dead, alive] = [await reachable(), await reachable()];
  dead.link.down = true;
  const addresses = [addressOf(dead.link), addressOf(alive.link)];
  put('leaf-1', alive.link, { addresses });
  put('leaf-2', alive.link, { addresses });
  worker.standby.prepare(new Set([0]));
  await warm();
  const tries = dead.link.accepted;
  await hold();
  await alive.device.stream(1);
  expect([dead.link.accepted, alive.link.accepted]).toEqual([tries, 2]);
});

test('B4: what is not stood by for any more is let go at once; a membership lost is all of it', async () => {
  await setUp({ slots: 2 });
  const { link } = await reachable();
  const names = Array.from({ length: 8 }, (_, n) => `leaf-${n}`);
  for (const name of names) put(name, link);
  worker.standby.prepare(new Set([0, 1]));
  await warm(0);
  await warm(1);
  expect(await worker.gauge()).toBe(8);
  worker.standby.prepare(new Set([1]));
  expect(await worker.gauge()).toBe(names.filter((name) => slotOf(name, 2) === 1).length);
  worker.standby.prepare(new Set());
  expect([await worker.gauge(), worker.standby.isWarm(1)]).toEqual([0, false]);
  await pause(100);
  expect(link.accepted).toBe(8);
});

test('a slot that is released and stood by for again is prepared again, by devices that see one connection at a time', async () => {
  await setUp();
  const { device, link } = await reachable();
  put('leaf-1', link);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => log.statusOf('leaf-1')?.state === 'synced');
  worker.standby.prepare(new Set([0])); // the plan comes before the release
  put('leaf-1', link, { labels: new Map([['site', 'fra']]) });
  await pause(50);
  expect(link.accepted).toBe(1); // B1
  await worker.host.release(0, 'moved', never);
  await stream.closed();
  await warm();
  expect([link.accepted, device.streams.length]).toEqual([2, 1]);
});

test('B3: a connection prepared for a device that gets no session goes with the slot', async () => {
  await setUp();
  const { link } = await reachable();
  put('leaf-1', link);
  worker.standby.prepare(new Set([0]));
  await warm();
  await worker.host.begin(0, log, takeover, never);
  worker.standby.prepare(new Set());
  expect(await worker.gauge()).toBe(1); // the session is about to come
  await worker.host.drop(0);
  expect(await worker.gauge()).toBe(0);
});

test('slots that become warm within a moment are one call', async () => {
  await setUp({ slots: 4 });
  worker.standby.prepare(new Set([0, 1, 2, 3])); // without devices: warm at once
  expect([worker.standby.isWarm(3), worker.warmed.count]).toEqual([true, 0]);
  await eventually('told', 1_000, () => worker.warmed.count > 0);
  await pause(100);
  expect(worker.warmed.count).toBe(1);
});

test('the weight of a slot is its devices that are not disabled, and at least 1', async () => {
  await setUp();
  const { link } = await reachable();
  expect(worker.standby.weightOf(0)).toBe(1);
  for (let n = 0; n < 3; n += 1) put(`leaf-${n}`, link);
  put('off', link, { disabled: true });
  expect(worker.standby.weightOf(0)).toBe(3);
});
