import { createMetrics } from '../../core/metrics.ts';
import { createIngestMetrics } from '../../ingest/metrics.ts';
import { PreparedConnections } from '../../ingest/prepared-connections.ts';
import { type DialTarget } from '../../ingest/transport.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { ScriptedTransport, scriptedTarget } from './scripted-transport.ts';

/** Many devices in virtual time: bounds, places, and who gets what. */
const settings = { dialTimeoutMs: 1_000, redialMs: 100, redialMsMax: 1_000, refusedRedialMs: 50_000 };
let clock: FakeClock;
let transport: ScriptedTransport;
let connections: PreparedConnections;
let tried: string[];

async function create(options: { connectionsMax: number; dialsMax: number }): Promise<void> {
  const metrics = createIngestMetrics(createMetrics().registry);
  const random = { next: () => 0.5 };
  connections = new PreparedConnections({ transport, clock, random, metrics, settings, ...options });
  await connections.start();
}

function prepare(device: string, target: () => DialTarget = () => scriptedTarget(device), key = ''): void {
  connections.prepare(device, { key, targets: () => [target()], onTried: () => tried.push(device) });
}

beforeEach(() => {
  clock = new FakeClock();
  transport = new ScriptedTransport();
  tried = [];
});

afterEach(async () => {
  await connections.stop();
  await settled();
  expect([transport.open, clock.armed, connections.size]).toEqual([0, 0, 0]);
});

test('R3, R4: so many at a time, so many in all; the others count as tried and move up', async () => {
  await create({ connectionsMax: 3, dialsMax: 2 });
  for (const device of ['a', 'b', 'c', 'd', 'e']) prepare(device);
  await settled();
  expect([transport.dialled.length, tried]).toEqual([2, ['d', 'e']]);
  transport.at(0).answer();
  transport.at(1).fail('slowly');
  await settled();
  transport.at(2).answer();
  await settled();
  expect([connections.size, transport.dialled.length, tried]).toEqual([2, 3, ['d', 'e', 'a', 'b', 'c']]);
  connections.forget('b'); // in back-off, and its place is free
  await settled();
  expect(transport.at(3).target.device).toBe('d');
  expect(tried).toHaveLength(5); // once each
});

test('R2: a session that dials gets the prepared connection, or its own and the prepared one is gone', async () => {
  await create({ connectionsMax: 9, dialsMax: 9 });
  for (const device of ['a', 'b', 'c']) prepare(device);
  await settled();
  transport.at(0).answer();
  transport.at(1).answer();
  await settled();
  expect([connections.isPrepared(scriptedTarget('a')), connections.preparedAddress('a')]).toEqual([true, 'a:1']);
  const used = connections.dial(scriptedTarget('a'));
  const changed = connections.dial({ ...scriptedTarget('b'), receiveBytesMax: 2 });
  const early = connections.dial(scriptedTarget('c')); // not up yet
  expect([used, changed, early].map(({ isPrepared }) => isPrepared)).toEqual([true, false, false]);
  expect(transport.dialled.map(({ destroyed }) => destroyed)).toEqual([false, true, true, false, false]);
  await clock.advance(100_000);
  expect([transport.dialled.length, connections.size]).toEqual([5, 0]);
  for (const connection of [used, changed, early]) connection.destroy();
});

test('an equal wish changes nothing, another one begins anew', async () => {
  await create({ connectionsMax: 9, dialsMax: 9 });
  prepare('a');
  await settled();
  transport.at(0).answer();
  await settled();
  prepare('a');
  expect(connections.size).toBe(1);
  prepare('a', () => scriptedTarget('a', 'elsewhere:1'), 'other');
  await settled();
  expect([connections.size, transport.at(0).destroyed, transport.at(1).target.address]).toEqual([
    0,
    true,
    'elsewhere:1',
  ]);
});

test('R5: within a minute every device whose secrets changed is prepared anew, and no other', async () => {
  await create({ connectionsMax: 200, dialsMax: 200 });
  let receiveBytesMax = 1;
  const devices = Array.from({ length: 130 }, (_, n) => `leaf-${n}`);
  for (const device of devices)
    prepare(device, () => ({ ...scriptedTarget(device), ...(device === 'leaf-7' ? { receiveBytesMax } : {}) }));
  await settled();
  for (const connection of transport.dialled) connection.answer();
  await clock.advance(70_000);
  expect(transport.dialled).toHaveLength(130);
  receiveBytesMax = 2;
  for (let second = 0; second < 62; second += 1) {
    await clock.advance(1_000);
    transport.dialled.at(-1)?.answer();
  }
  expect(transport.dialled.slice(130).map(({ target }) => target)).toMatchObject([
    { device: 'leaf-7', receiveBytesMax: 2 },
  ]);
  expect(transport.at(7).destroyed).toBe(true);
});

test('settled: what is ready waits for its session, the rest is given up at once', async () => {
  await create({ connectionsMax: 9, dialsMax: 9 });
  prepare('a');
  prepare('b');
  await settled();
  transport.at(0).answer();
  await settled();
  for (const device of ['a', 'b', 'unknown']) connections.settle(device);
  expect([connections.size, transport.at(1).destroyed]).toEqual([1, true]);
});
