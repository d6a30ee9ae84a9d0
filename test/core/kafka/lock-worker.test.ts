import { expect, test } from '@jest/globals';
import { deferred } from '../../../core/deferred.ts';
import { type LockTimers } from '../../../core/kafka/lock-timers.ts';
import { LockWorker } from '../../../core/kafka/lock-worker.ts';
import { alwaysWarm } from '../../../core/kafka/slot-host.ts';
import { silentLogger } from '../../../core/logger.ts';
import { seededRandom } from '../../../core/random.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import {
  MemoryOwnershipLog,
  ScriptedCoordinator,
  ScriptedHost,
  ScriptedPeers,
  ScriptedWriter,
  Story,
} from '../../support/scripted-lock.ts';

/** One worker alone in its group, two slots, under virtual time. */
const timers: LockTimers = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 60_000, heartbeatMs: 500, guardMs: 500 };

class Scene {
  readonly clock = new FakeClock();
  readonly story = new Story();
  readonly coordinator = new ScriptedCoordinator(this.clock, this.story);
  readonly log = new MemoryOwnershipLog(this.story);
  readonly host = new ScriptedHost(this.story, this.clock);
  readonly fatal: Error[] = [];
  readonly peers = new ScriptedPeers();
  readonly worker = new LockWorker<ScriptedWriter>({
    slots: 2,
    host: this.host,
    createWriter: (_slot, epoch, hooks) => new ScriptedWriter(epoch, hooks, this.story),
    coordinator: this.coordinator,
    log: this.log,
    ends: { lastEpochs: () => Promise.resolve(new Map()) },
    timers,
    self: { instance: 'i-1', incarnation: 'a', peer: '', zone: '' },
    capacity: 100,
    peers: this.peers,
    standby: alwaysWarm,
    clock: this.clock,
    random: seededRandom(7),
    logger: silentLogger,
    onFatal: (error) => this.fatal.push(error),
  });

  async started(): Promise<this> {
    await Promise.all([this.worker.start(new AbortController().signal), this.clock.advance(100)]);
    await this.clock.advance(1_000);
    expect(this.worker.held()).toEqual([0, 1]);
    this.story.take();
    return this;
  }
}

const dropsIn = (lines: readonly string[]): number[] =>
  lines.filter((line) => line.startsWith('drop')).map((line) => Number(line.split(' ').at(-1)));

test('a worker alone holds everything, for as long as it is answered', async () => {
  const scene = await new Scene().started();
  await scene.clock.advance(120_000);
  expect(scene.story.take()).toEqual([]); // a steady state is silent
  expect(scene.worker.held()).toEqual([0, 1]);
  const stopping = scene.worker.stop();
  await scene.clock.advance(5_000);
  await stopping;
  const lines = scene.story.take();
  expect(lines.at(-1)).toMatch(/^leave m-/); // and only after the last release
  expect(lines.filter((line) => line.startsWith('released'))).toHaveLength(2);
  expect(scene.clock.armed).toBe(0);
});

test('L2, O1, O2: Kafka away: everything is dropped at S − G after the last proof was sent, while S still runs', async () => {
  const scene = await new Scene().started();
  const awayAtMs = scene.clock.monotonicMs();
  scene.coordinator.away = true;
  const [writer] = scene.host.writers;
  let lastLiveMs = 0;
  for (let step = 0; step < 700; step += 1) {
    await scene.clock.advance(10);
    if (writer!.hooks.leaseLive()) lastLiveMs = scene.clock.monotonicMs();
  }
  const drops = dropsIn(scene.story.lines);
  expect(drops).toHaveLength(2);
  // Proofs go out once a period, so the last was sent at most H before.
  const endMs = drops[0]!;
  expect(endMs).toBeGreaterThanOrEqual(awayAtMs - timers.heartbeatMs + 5_500);
  expect(endMs).toBeLessThanOrEqual(awayAtMs + 5_500);
  expect(drops[1]).toBe(endMs);
  expect(lastLiveMs).toBeLessThan(endMs);
  expect(scene.worker.leaseLive()).toBe(false);
  expect(scene.worker.held()).toEqual([]);
});

test('O8: a lapsed lease comes back by LeaveGroup, Join, Sync and an accepted commit, with higher epochs', async () => {
  const scene = await new Scene().started();
  const before = scene.host.writers.map(({ epoch }) => epoch);
  scene.coordinator.away = true;
  await scene.clock.advance(20_000);
  scene.story.take();
  scene.coordinator.away = false;
  await scene.clock.advance(5_000);
  expect(scene.worker.held()).toEqual([0, 1]);
  const lines = scene.story.take();
  const at = (start: string): number => lines.findIndex((line) => line.startsWith(start));
  expect(at('leave m-1')).toBeGreaterThanOrEqual(0);
  expect(at('join')).toBeGreaterThan(at('leave m-1'));
  expect(at('commit')).toBeGreaterThan(at('join'));
  expect(at('activate')).toBeGreaterThan(at('commit'));
  const after = scene.host.writers.slice(before.length).map(({ epoch }) => epoch);
  after.forEach((epoch, index) => expect(epoch).toBeGreaterThan(before[index]!));
});

test('L-2, C1: heartbeats alone keep nothing: without an accepted commit the lease ends', async () => {
  const scene = await new Scene().started();
  scene.coordinator.probe = () => Promise.resolve({ kind: 'lost', error: new Error('superseded') });
  await scene.clock.advance(5_600);
  expect(dropsIn(scene.story.take())).toHaveLength(2);
});

test('O12: it joins again only when the last session of what it lost is gone', async () => {
  const scene = await new Scene().started();
  const gone = deferred<undefined>();
  scene.host.closing = gone.promise.then(() => undefined);
  scene.coordinator.away = true;
  await scene.clock.advance(7_000);
  scene.coordinator.away = false;
  scene.story.take();
  await scene.clock.advance(30_000);
  expect(scene.story.take()).toEqual([]); // no LeaveGroup, no Join
  gone.resolve(undefined);
  await scene.clock.advance(2_000);
  expect(scene.story.take().slice(0, 2)).toEqual(['leave m-1', 'join m-2']);
});

test('L3: a process that stood still for longer than the lease drops before it publishes anything', async () => {
  const scene = await new Scene().started();
  const [writer] = scene.host.writers;
  scene.clock.stall(60_000);
  expect(writer!.hooks.leaseLive()).toBe(false); // no timer has fired yet
  await scene.clock.advance(1);
  expect(dropsIn(scene.story.take())).toHaveLength(2);
});

test('L3: a stall that the lease outlives mutes until a heartbeat sent afterwards is answered', async () => {
  const scene = await new Scene().started();
  const [writer] = scene.host.writers;
  const answered = deferred<undefined>();
  scene.coordinator.heartbeat = async () => {
    await answered.promise;
    return { kind: 'ok', value: null };
  };
  scene.clock.suspend(1_000); // only the wall clock went on
  await scene.clock.advance(timers.heartbeatMs);
  expect(writer!.hooks.leaseLive()).toBe(false);
  expect(scene.worker.held()).toEqual([0, 1]); // sessions stay
  answered.resolve(undefined);
  await settled();
  await scene.clock.advance(timers.heartbeatMs);
  expect(writer!.hooks.leaseLive()).toBe(true);
  expect(dropsIn(scene.story.take())).toEqual([]);
});

test('a refusal that only an operator can lift ends the worker, with nothing held', async () => {
  const scene = await new Scene().started();
  scene.coordinator.heartbeat = () => Promise.resolve({ kind: 'fatal', error: new Error('no ACL') });
  await scene.clock.advance(1_000);
  expect(scene.fatal.map(({ message }) => message)).toEqual(['no ACL']);
  expect(dropsIn(scene.story.take())).toHaveLength(2);
  expect(scene.worker.leaseLive()).toBe(false);
});
