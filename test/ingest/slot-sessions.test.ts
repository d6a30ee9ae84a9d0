import { HoldfastError } from '../../core/errors.ts';
import { type Takeover } from '../../core/kafka/slot-host.ts';
import { eventually } from '../support/eventually.ts';
import { createHeldSlot, type HeldSlot } from '../support/held-slot.ts';
import { deviceRecord } from '../support/ingest-bench.ts';
import { RecordedLog } from '../support/recorded-log.ts';
import { ScriptedDevice, type ScriptedDeviceOptions } from '../support/scripted-device.ts';

/** How devices of a held slot go: removed in any state, by anybody; or the slot itself. K, V of slot-sessions and supervisor. */
const takeover: Takeover = { fromEpoch: 0n, fromSeq: 0n, committedOffset: 0n, applied: null, reason: 'start' };
const devices: ScriptedDevice[] = [];
let held: HeldSlot;
let log: RecordedLog;

async function scripted(options: ScriptedDeviceOptions = {}): Promise<ScriptedDevice> {
  const device = await new ScriptedDevice(options).start();
  devices.push(device);
  return device;
}

async function hold(): Promise<void> {
  await held.host.begin(0, log, takeover, new AbortController().signal);
  held.host.activate(0);
}

const put = (name: string, device: ScriptedDevice): void =>
  held.catalogue.setDevice(name, deviceRecord(name, { addresses: [device.address] }));
const stateOf = (name: string) => log.statusOf(name)?.state;

beforeEach(async () => {
  held = await createHeldSlot();
  log = new RecordedLog();
});

afterEach(async () => {
  await held.host.drop(0);
  for (const device of devices.splice(0)) device.stop();
  await held.bench.stop();
});

test('K2: a status without a device record is closed as removed, then nulled, at takeover and later', async () => {
  held.statuses.set('ghost', { gaps: 3n });
  await hold();
  await eventually('nulled', 3_000, () => log.statusOf('ghost') === null);
  held.host.statusSeen('ghost');
  expect(log.statuses).toHaveLength(1);
  held.statuses.set('late', { gaps: 0n });
  held.host.statusSeen('late');
  await eventually('nulled', 3_000, () => log.statusOf('late') === null);
  expect(log.markers('closed')).toMatchObject([
    { device: 'ghost', reason: 'removed' },
    { device: 'late', reason: 'removed' },
  ]);
});

test('K2: a status that is only ahead of its device record removes nothing', async () => {
  const device = await scripted();
  held.statuses.set('leaf-1', { gaps: 0n });
  held.devicesRead = async () => put('leaf-1', device);
  await hold();
  (await device.stream(0)).sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  expect(log.markers('closed')).toEqual([]);
});

test('V3: the null status waits for the ack of the closed marker, and a lost slot leaves the status to the next owner', async () => {
  const device = await scripted();
  device.stop();
  put('leaf-1', device);
  put('leaf-2', device);
  await hold();
  await eventually('waiting', 3_000, () => stateOf('leaf-1') === 'waiting' && stateOf('leaf-2') === 'waiting');
  log.acking = false;
  held.catalogue.setDevice('leaf-1', undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(log.statusOf('leaf-1')).not.toBeNull();
  log.ackAll();
  await eventually('nulled', 3_000, () => log.statusOf('leaf-1') === null);
  held.catalogue.setDevice('leaf-2', undefined);
  await held.host.drop(0);
  expect(log.statusOf('leaf-2')).not.toBeNull();
});

test.each(['drop', 'release'] as const)(
  'V2: %s while many wait for their dial leaves no session behind',
  async (how) => {
    const device = await scripted({ mute: true });
    for (let n = 0; n < 20; n += 1) put(`leaf-${n}`, device); // the gate lets four dial at a time
    await hold();
    await eventually('dialling', 3_000, () => device.metadata.length === 4);
    if (how === 'drop') await held.host.drop(0);
    else await held.host.release(0, 'moved', AbortSignal.timeout(2_000));
    const before = log.telemetry.length + log.statuses.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(device.metadata).toHaveLength(4); // nobody dialled after it
    expect(log.telemetry.length + log.statuses.length).toBe(before);
  },
);

test('W3: a writer that Kafka refuses for good costs the process nothing, until the slot is dropped', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  log.ended = new HoldfastError('KAFKA_DENIED', 'no ACL');
  stream.update(1);
  stream.fail();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await held.host.drop(0);
});

test('V4: with the budget used up nobody dials; with room again they do', async () => {
  const device = await scripted();
  await hold();
  const other = held.bench.budget.account();
  other.appended(held.bench.budget.bytesMax);
  put('leaf-1', device);
  expect(log.statusOf('leaf-1')).toMatchObject({
    state: 'waiting',
    detail: expect.stringContaining('Kafka') as string,
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(device.metadata).toEqual([]);
  other.acked(held.bench.budget.bytesMax);
  await device.stream(0);
});

test('H2: a gap that was said again but not acked before the slot was lost anew is said once more', async () => {
  const device = await scripted();
  put('leaf-1', device);
  await hold();
  const stream = await device.stream(0);
  stream.sync();
  await eventually('synced', 3_000, () => stateOf('leaf-1') === 'synced');
  log.acking = false;
  stream.update(1);
  await eventually('the update', 3_000, () => log.kinds('leaf-1').at(-1) === 'data');
  await held.host.drop(0);
  for (const acking of [false, true]) {
    log = new RecordedLog();
    await hold();
    await eventually('the gap', 3_000, () => log.kinds('leaf-1').includes('gap'));
    log.acking = acking;
    if (acking) await eventually('acked', 3_000, () => log.unackedBytes === 0);
    await held.host.drop(0);
  }
  log = new RecordedLog();
  await hold();
  await device.stream(3);
  expect(log.kinds('leaf-1')).not.toContain('gap');
});

test('a fleet that comes and goes at once is a few lines with counts, not a line per device', async () => {
  const size = 150;
  const device = await scripted();
  await held.fleetLog.start();
  for (let n = 0; n < size; n += 1) put(`leaf-${n}`, device);
  await hold();
  for (let n = 0; n < size; n += 1) (await device.stream(n)).sync();
  await eventually('all synced', 10_000, () => held.host.sessionsByState().get('synced') === size);
  const before = held.lines.length;
  device.stop();
  await eventually('all ended', 10_000, () => log.markers('closed').length === size);
  await held.fleetLog.stop();
  expect(before).toBeLessThan(size / 5); // how many depends on how fast the machine lets them come
  const summaries = held.lines.slice(before).map((line) => JSON.parse(line) as { counts?: Record<string, number> });
  expect(summaries.length).toBeLessThan(10);
  const counted = summaries.map(({ counts = {} }) => counts['session ended (UNREACHABLE)'] ?? 0);
  expect(counted.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(size);
}, 25_000); // as long as its two waits: 150 sessions take 3 s on a quiet machine
