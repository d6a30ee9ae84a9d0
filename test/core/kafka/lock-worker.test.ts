import { describe, expect, test } from '@jest/globals';
import { type Slot } from '../../../schemas/slot.ts';
import { deferred } from '../../../core/deferred.ts';
import { type JoinProtocol, type Refusal } from '../../../core/kafka/coordinator.ts';
import { decodeHeldReport, encodeHeldReport } from '../../../core/kafka/held-report.ts';
import { type LockTimers } from '../../../core/kafka/lock-timers.ts';
import { LockWorker } from '../../../core/kafka/lock-worker.ts';
import { type MemberReport } from '../../../core/kafka/plan.ts';
import { type Standby } from '../../../core/kafka/slot-host.ts';
import { silentLogger } from '../../../core/logger.ts';
import { seededRandom } from '../../../core/random.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { holding, instancesOf, memberReport } from '../../support/plan-group.ts';
import {
  MemoryOwnershipLog,
  never,
  refusal,
  ScriptedCoordinator,
  ScriptedHost,
  ScriptedPeers,
  ScriptedWriter,
  Story,
} from '../../support/scripted-lock.ts';

/** One worker that leads its group, two slots, under virtual time; alone, unless a test has others join with it. */
const timers: LockTimers = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 60_000, heartbeatMs: 500, guardMs: 500 };

class Scene {
  readonly clock = new FakeClock();
  readonly story = new Story();
  readonly coordinator = new ScriptedCoordinator(this.clock, this.story);
  readonly log = new MemoryOwnershipLog(this.story);
  readonly host = new ScriptedHost(this.story, this.clock);
  readonly fatal: Error[] = [];
  readonly peers = new ScriptedPeers();
  /** Members that join whenever we do. */
  readonly others: MemberReport[] = [];
  /** What we joined with, each time. */
  readonly reports: (readonly JoinProtocol[])[] = [];
  /** What `standby.prepare` was told, each time. */
  readonly prepared: Slot[][] = [];
  readonly warm = new Set<Slot>([0, 1]);
  readonly #standby: Standby = {
    prepare: (slots) => void this.prepared.push([...slots]),
    isWarm: (slot) => this.warm.has(slot),
    weightOf: (slot) => 10 + slot,
  };
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
    standby: this.#standby,
    clock: this.clock,
    random: seededRandom(7),
    logger: silentLogger,
    onFatal: (error) => this.fatal.push(error),
  });

  constructor() {
    const join = this.coordinator.join.bind(this.coordinator);
    this.coordinator.join = async (order) => {
      this.reports.push(order.protocols);
      const answer = await join(order);
      if (answer.kind !== 'ok') return answer;
      const others = this.others.map(({ memberId, report }) => ({ memberId, report: encodeHeldReport(report, 2) }));
      return { kind: 'ok', value: { ...answer.value, members: [...answer.value.members, ...others] } };
    };
  }

  async started(held: readonly Slot[] = [0, 1]): Promise<this> {
    await Promise.all([this.worker.start(new AbortController().signal), this.clock.advance(100)]);
    await this.clock.advance(1_000);
    expect(this.worker.held()).toEqual(held);
    this.story.take();
    return this;
  }

  /** Together with i-2, which takes what it is given: one slot each, each standby of the other’s. */
  async startedWithOther(): Promise<this> {
    this.others.push(memberReport('i-2', { slots: 2, warm: new Set([0, 1]) }));
    return this.started([0]);
  }

  /** To the next heartbeat. */
  answerOnce(kind: Refusal): void {
    const answering = this.coordinator.heartbeat.bind(this.coordinator);
    this.coordinator.heartbeat = () => {
      this.coordinator.heartbeat = answering;
      return Promise.resolve(refusal(kind));
    };
  }

  get joins(): number {
    return this.reports.length;
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

describe('peers', () => {
  test('they are told our member id before the plan is awaited, and again when it is another one', async () => {
    const scene = new Scene();
    const sync = scene.coordinator.sync.bind(scene.coordinator);
    const identities: string[] = [];
    scene.coordinator.sync = (order) => {
      identities.push(scene.peers.identity);
      return sync(order);
    };
    await scene.started();
    scene.answerOnce('unknown-member');
    await scene.clock.advance(timers.heartbeatMs);
    expect(identities.slice(0, 2)).toEqual(['m-1', 'm-2']);
    expect(scene.peers.identity).toBe(`m-${scene.coordinator.generation}`);
  });

  test('the others of the plan are watched, and one that is gone is removed before we join again', async () => {
    const scene = await new Scene().startedWithOther();
    expect(scene.peers.watched.map(({ memberId }) => memberId)).toEqual(['i-2-id']);
    scene.others.pop();
    scene.peers.listener?.gone('i-2-id');
    await scene.clock.advance(20);
    const lines = scene.story.take();
    expect(lines.slice(0, 2)).toEqual(['leave i-2-id', 'join m-2']);
    expect(scene.worker.held()).toEqual([0, 1]);
    expect(scene.peers.nudges).toBeGreaterThan(0); // who has to join as well is hurried
    expect(scene.peers.watched).toEqual([]);
  });

  test('who is not in the plan is not removed', async () => {
    const scene = await new Scene().startedWithOther();
    scene.peers.listener?.gone('i-9-id');
    await scene.clock.advance(100);
    expect(scene.story.take()).toEqual([]);
  });

  test('PP2: a nudge makes a heartbeat at once, and changes nothing', async () => {
    const scene = await new Scene().started();
    let beats = 0;
    scene.coordinator.heartbeat = () => {
      beats += 1;
      return Promise.resolve({ kind: 'ok', value: null });
    };
    await scene.clock.advance(timers.heartbeatMs / 2);
    const before = beats;
    scene.peers.listener?.nudged();
    await settled();
    expect(beats).toBe(before + 1);
    expect([scene.story.take(), scene.worker.state]).toEqual([[], 'member']);
  });
});

describe('standby', () => {
  test('what we stand by for is prepared, and still while we take it over; nothing is once all is dropped', async () => {
    const scene = await new Scene().startedWithOther();
    expect(instancesOf(scene.worker.plan!, 'standby')).toEqual(['i-2', 'i-1']);
    expect(scene.prepared).toEqual([[1]]);
    scene.others.pop();
    scene.peers.listener?.gone('i-2-id');
    await scene.clock.advance(20);
    expect(scene.worker.held()).toEqual([0, 1]);
    expect(scene.prepared).toEqual([[1], [1]]); // slot 0 was active, and nobody stands by for us
    scene.coordinator.away = true;
    await scene.clock.advance(7_000);
    expect(scene.worker.held()).toEqual([]);
    expect(scene.prepared).toEqual([[1], [1], []]);
  });

  test('warm slots are worth a round where we are short of slots, once we are warm for one that we stand by for', async () => {
    const scene = new Scene();
    scene.warm.clear();
    scene.others.push(memberReport('i-2', { slots: 2, held: holding([0, 1]) }));
    await scene.started([]);
    const standing = scene.prepared.at(-1) ?? [];
    expect(standing).toHaveLength(2);
    scene.worker.warmed();
    await scene.clock.advance(100);
    expect(scene.joins).toBe(1); // not warm for any
    scene.warm.add(standing[0]!);
    scene.worker.warmed();
    await scene.clock.advance(100);
    expect(scene.joins).toBe(2);
    expect(instancesOf(scene.worker.plan!)[standing[0]!]).toBe('i-1');
    scene.warm.add(standing[1]!);
    scene.worker.warmed(); // we have our share
    await scene.clock.advance(2_000);
    expect(scene.joins).toBe(2);
  });

  test('they are worth none before the first plan, nor for who has everything or is leaving', async () => {
    const scene = new Scene();
    scene.worker.warmed();
    await scene.started();
    scene.worker.warmed();
    await scene.clock.advance(2_000);
    expect(scene.joins).toBe(1);
    const stopping = scene.worker.stop();
    scene.worker.warmed();
    await scene.clock.advance(5_000);
    await stopping;
    expect(scene.joins).toBe(2); // the one that says draining
  });
});

test('HR-2: it joins in both forms, newest first: what it holds, is warm for and what that weighs', async () => {
  const scene = await new Scene().started();
  scene.warm.delete(1);
  scene.others.push(memberReport('i-2', { slots: 2 }));
  scene.answerOnce('rebalance');
  await scene.clock.advance(timers.heartbeatMs);
  const [first, second] = scene.reports;
  expect(first!.map(({ name }) => name)).toEqual(['holdfast-2', 'holdfast-1']);
  const [newest, older] = second!.map(({ report }) => decodeHeldReport(report));
  const epochs = scene.host.writers.map(({ epoch }) => epoch);
  const common = { instance: 'i-1', incarnation: 'a', peer: scene.peers.address, capacity: 100, slots: 2 };
  const held = new Map([0, 1].map((slot) => [slot, epochs[slot]]));
  expect(newest).toMatchObject({ ...common, format: 2, held, draining: false, unable: new Set(), warm: new Set([0]) });
  expect(newest!.weights).toEqual(new Map(Object.entries({ 0: 10, 1: 11 }).map(([slot, of]) => [Number(slot), of])));
  expect(older).toMatchObject({ ...common, format: 1, held, weights: new Map() });
  expect(newest!.adoptedVersion).toBeGreaterThan(0n);
  expect(decodeHeldReport(first![0]!.report).adoptedVersion).toBe(0n);
});

describe('SD2: a slot that gets nothing acked', () => {
  const mute = (scene: Scene): void => {
    for (const writer of scene.host.writers) writer.acks = { unacked: true, ackedBatches: 3 };
  };
  const released = (scene: Scene): number => scene.story.take().filter((line) => line.startsWith('release ')).length;

  test('is given to another member, which may do better', async () => {
    const scene = await new Scene().startedWithOther();
    mute(scene);
    await scene.clock.advance(10_000);
    expect(released(scene)).toBe(0);
    await scene.clock.advance(1_500);
    expect(released(scene)).toBe(1);
    expect(decodeHeldReport(scene.reports.at(-1)![0]!.report).unable).toEqual(new Set([0]));
    expect(instancesOf(scene.worker.plan!)[0]).toBe('i-2');
  });

  test('is kept by who is alone', async () => {
    const scene = await new Scene().started();
    mute(scene);
    await scene.clock.advance(60_000);
    expect(released(scene)).toBe(0);
  });

  test('is kept while Kafka does not take our probes either: it is not the slot’s fault', async () => {
    const scene = await new Scene().startedWithOther();
    mute(scene);
    await scene.clock.advance(8_500);
    const answering = scene.coordinator.probe.bind(scene.coordinator);
    const answers = deferred<undefined>();
    scene.coordinator.probe = (member) => answers.promise.then(() => answering(member));
    await scene.clock.advance(4_500);
    expect(released(scene)).toBe(0);
    expect(scene.worker.leaseLive()).toBe(true);
    answers.resolve(undefined);
    await scene.clock.advance(1_000);
    expect(released(scene)).toBe(1);
  });
});

describe('stopped before it is a member', () => {
  test('before `start`: it ends at once, and cannot be started any more', async () => {
    const scene = new Scene();
    let reads = 0;
    scene.log.start = () => {
      reads += 1;
      return Promise.resolve();
    };
    await scene.worker.stop();
    expect(scene.peers.stopped).toBe(true);
    await expect(scene.worker.start(new AbortController().signal)).rejects.toThrow('stopped before it joined');
    expect([reads, scene.peers.listener, scene.joins, scene.clock.armed]).toEqual([0, null, 0, 0]);
  });

  test('while it reads `ownership`: it never joins', async () => {
    const scene = new Scene();
    const read = deferred<undefined>();
    scene.log.start = () => read.promise.then(() => undefined);
    const starting = scene.worker.start(new AbortController().signal);
    const refused = expect(starting).rejects.toThrow('stopped before it joined');
    await scene.worker.stop();
    read.resolve(undefined);
    await refused;
    expect([scene.joins, scene.clock.armed]).toEqual([0, 0]);
  });

  test('while its Join is out: it leaves, and whoever waits for the first plan is told', async () => {
    const scene = new Scene();
    scene.coordinator.join = () => never;
    const refused = expect(scene.worker.start(new AbortController().signal)).rejects.toThrow('before it had a plan');
    await settled();
    const stopping = scene.worker.stop();
    await scene.clock.advance(60_000);
    await Promise.all([refused, stopping]);
    expect(scene.clock.armed).toBe(0);
  });
});
