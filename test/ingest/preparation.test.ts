import { HoldfastError } from '../../core/errors.ts';
import { createMetrics } from '../../core/metrics.ts';
import { DialGate } from '../../ingest/dial-gate.ts';
import { createIngestMetrics } from '../../ingest/metrics.ts';
import { Preparation } from '../../ingest/preparation.ts';
import { type DialTarget } from '../../ingest/transport.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { ScriptedTransport, scriptedTarget } from './scripted-transport.ts';

/** One device's preparation in virtual time. */
const settings = { dialTimeoutMs: 1_000, redialMs: 100, redialMsMax: 1_000, refusedRedialMs: 50_000 };
const target = scriptedTarget('leaf-1');
let clock: FakeClock;
let transport: ScriptedTransport;
let gate: DialGate;
let changes: (string | null)[];
let preparation: Preparation;

function create(targets: () => readonly DialTarget[] = () => [target]): Preparation {
  const { registry } = createMetrics();
  const metrics = createIngestMetrics(registry);
  const random = { next: () => 0.5 }; // every wait is exactly what the back-off says
  preparation = new Preparation(
    { transport, gate, clock, random, metrics, settings },
    { targets, onChange: () => changes.push(preparation.readyAddress) },
  );
  preparation.start();
  return preparation;
}

beforeEach(() => {
  clock = new FakeClock();
  transport = new ScriptedTransport();
  gate = new DialGate({ max: 1 });
  changes = [];
});

afterEach(async () => {
  preparation.stop();
  await settled();
  expect([transport.open, clock.armed]).toEqual([0, 0]); // Q1
});

test('Q3: what is ready is handed out once, to the same target only', async () => {
  create();
  await settled();
  expect(preparation.take(target)).toBeNull(); // not up yet
  transport.at(0).answer();
  await settled();
  expect([preparation.readyAddress, changes]).toEqual(['leaf-1:1', ['leaf-1:1']]);
  expect([preparation.matches(target), preparation.take(scriptedTarget('leaf-1', 'other:1'))]).toEqual([true, null]);
  const taken = preparation.take(target);
  expect([taken?.isPrepared, preparation.take(target)]).toEqual([true, null]);
  preparation.stop();
  transport.at(0).lose();
  await clock.advance(100_000);
  expect([transport.at(0).destroyed, transport.dialled.length]).toEqual([false, 1]); // it is the session's
  taken?.destroy();
});

test('T14: waits grow while it fails or is lost, and begin anew after it was up for long', async () => {
  create();
  for (const [n, waitMs] of [100, 200, 400].entries()) {
    await settled();
    if (n === 1) {
      transport.at(n).answer();
      await settled();
      transport.at(n).lose();
    } else transport.at(n).fail('soon');
    await settled();
    await clock.advance(waitMs - 1);
    expect(transport.dialled).toHaveLength(n + 1);
    await clock.advance(1);
    expect(transport.dialled).toHaveLength(n + 2);
  }
  transport.at(3).answer();
  await clock.advance(1_001);
  transport.at(3).lose();
  await settled();
  await clock.advance(100);
  expect(transport.dialled).toHaveLength(5);
});

test('T19: after a refusal the device is left alone for long', async () => {
  create();
  await settled();
  transport.at(0).fail('slowly');
  await clock.advance(49_999);
  expect(transport.dialled).toHaveLength(1);
  await clock.advance(1);
  expect(transport.dialled).toHaveLength(2);
});

test('Q2: addresses one after the other; a silent one costs its time-out', async () => {
  create(() => [scriptedTarget('leaf-1', 'a:1'), scriptedTarget('leaf-1', 'b:1')]);
  await clock.advance(999);
  expect(transport.dialled.map((one) => one.target.address)).toEqual(['a:1']);
  await clock.advance(1);
  expect([transport.at(0).destroyed, transport.at(1).target.address]).toEqual([true, 'b:1']);
  transport.at(1).answer();
  await settled();
  expect(preparation.readyAddress).toBe('b:1');
});

test('secrets that cannot be read, and bugs, are failures like others: nothing hangs on them', async () => {
  let thrown: Error = new HoldfastError('CREDENTIALS_INVALID', 'no such file');
  create(() => {
    throw thrown;
  });
  await settled();
  expect(changes).toEqual([null]);
  thrown = new Error('a bug');
  await clock.advance(100);
  expect(changes).toEqual([null, null]);
  await clock.advance(49_000);
  expect(changes).toHaveLength(2);
});

test('stopped while it waits, dials or is ready: gone before stop returns', async () => {
  const leave = await gate.enter(new AbortController().signal);
  create().stop();
  await settled();
  leave();
  create();
  await settled();
  preparation.stop();
  expect([transport.dialled.length, transport.open]).toEqual([1, 0]);
  transport.at(0).answer(); // too late
  create();
  await settled();
  transport.at(1).answer();
  await settled();
  preparation.stop();
  expect([transport.open, preparation.readyAddress]).toEqual([0, null]);
});

test('settled: what is ready stays for the session and is not made again, what is not ends', async () => {
  create();
  await settled();
  transport.at(0).answer();
  await settled();
  preparation.settle();
  expect(preparation.readyAddress).toBe('leaf-1:1');
  transport.at(0).lose();
  await clock.advance(100_000);
  expect(transport.dialled).toHaveLength(1);
  create().settle();
  await clock.advance(100_000);
  expect(transport.dialled).toHaveLength(1);
});
