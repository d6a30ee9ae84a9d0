/**
 * The lock's faults in their full sizes, with the timers of production: `npm run test:faults`. Every test prints one line
 * `fault: …` with what it measured.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { FaultBeats } from '../support/fault-beats.ts';
import { FaultCluster, type ClusterStage } from '../support/fault-cluster.ts';
import { sayFigures, spanOf } from '../support/fault-figures.ts';
import { freezeOwner } from '../support/fault-frozen.ts';
import { gapsOf } from '../support/fault-holdings.ts';
import { rollingRestart } from '../support/fault-rolling.ts';
import { FaultStage } from '../support/fault-stage.ts';
import { supersedeCoordinator } from '../support/fault-superseded.ts';
import { testKafka } from '../support/kafka.ts';
import { type HostEvent, type LockMember, named } from '../support/lock-member.ts';

/** The two profiles of `lock-timers.ts`. */
const defaultTimers: LockTimers = {
  sessionTimeoutMs: 20_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatMs: 1_000,
  guardMs: 1_000,
};
const fastTimers: LockTimers = { ...defaultTimers, sessionTimeoutMs: 6_000, heartbeatMs: 500, guardMs: 500 };
const slots = 4;
const frozenMs = 30_000;
const lateMsMax = 250;

const dropsOf = (members: readonly { readonly events: readonly HostEvent[] }[]): HostEvent[] =>
  members.flatMap(({ events }) => named(events, 'drop'));

function frozenWorkers(): void {
  const stages: FaultStage[] = [];
  afterEach(async () => {
    for (const stage of stages.splice(0)) await stage.end();
  }, 30_000);

  async function freeze(guard: boolean): Promise<Awaited<ReturnType<typeof freezeOwner>>> {
    const stage = new FaultStage({ ...testKafka(), slots, timers: fastTimers });
    stages.push(stage);
    await stage.createTopics();
    const owner = stage.child('b', { guard });
    const figures = await freezeOwner(stage, owner, await stage.start('a'), frozenMs);
    sayFigures(`SIGSTOP for ${frozenMs / 1_000} s, S 6 s, guard ${guard ? 'on' : 'off'}`, {
      takenAfterMs: spanOf(figures.takenAfterMs),
      closedAfterMs: spanOf(figures.droppedAfterMs),
      slotsPublishedAfterThaw: figures.appendedLate,
      refusedBatches: figures.refusedBatches,
      acceptedRecords: figures.acceptedLate,
      logged: `'${String(figures.lost?.msg)}' (${String(figures.lost?.['event'])}) after ${figures.loggedAfterMs} ms`,
    });
    expect(figures.frozenMs).toBeGreaterThanOrEqual(frozenMs);
    expect(Math.min(...figures.takenAfterMs)).toBeGreaterThan(fastTimers.sessionTimeoutMs - 2 * fastTimers.heartbeatMs);
    expect(Math.max(...figures.takenAfterMs)).toBeLessThan(fastTimers.sessionTimeoutMs + 1_500);
    for (const afterMs of figures.droppedAfterMs) expect(afterMs).toBeLessThan(100);
    expect(figures.lost).toMatchObject({ level: 'warn', msg: 'membership lost', event: 'lease-end' });
    expect(figures.acceptedLate).toBe(0);
    expect((await stage.audit()).problems).toEqual([]);
    return figures;
  }

  test('O2, O4, O8, O13: frozen for 30 s an owner is replaced within S + 1.5 s, publishes nothing when it thaws, closes within 100 ms and says why', async () => {
    expect(await freeze(true)).toMatchObject({ appendedLate: 0, refusedBatches: 0 });
  }, 120_000);

  test('O4, the control in full size: without its guard it publishes, and the broker refuses all of it', async () => {
    const { appendedLate, moved, refusedBatches } = await freeze(false);
    expect(appendedLate).toBe(moved.length);
    expect(refusedBatches).toBeGreaterThan(0);
  }, 120_000);
}

function deadCoordinators(): void {
  let cluster: FaultCluster;
  let killed: number | null = null;

  beforeAll(async () => {
    cluster = await FaultCluster.start(); // Kafka's own timers: a dead broker is noticed after 9 s
  }, 120_000);

  afterEach(async () => {
    const nodeId = killed;
    killed = null;
    await cluster.clear();
    if (nodeId !== null) await cluster.restart(nodeId);
  }, 120_000);

  afterAll(() => cluster.stop(), 60_000);

  interface Killed {
    readonly members: readonly LockMember[];
    readonly beats: FaultBeats;
    readonly opened: ClusterStage;
  }

  /** Two members hold the slots, a group beside theirs beats, and the broker of both coordinators dies. */
  async function kill(name: string, timers: LockTimers): Promise<Killed> {
    const opened = await cluster.open(name, slots, timers);
    const { stage, coordinator, group } = opened;
    const members = [await stage.start('a'), await stage.start('b')];
    const groupId = cluster.groupBeside(group, `${name}-beats`);
    const beats = new FaultBeats({ brokers: cluster.brokers, groupId, prefix: stage.prefix, timers });
    stage.onEnd(() => beats.stop());
    await beats.start();
    await stage.held(...members.map((member): [LockMember, number] => [member, slots / 2]));
    await systemClock.sleep(2 * timers.heartbeatMs);
    killed = coordinator;
    await cluster.kafka.stopNode(coordinator, 'SIGKILL');
    return { members, beats, opened };
  }

  const rounded = ({ ageMsMax }: FaultBeats): Record<string, number> => ({
    heartbeatsUnansweredMs: Math.round(ageMsMax.heartbeat),
    commitsUnansweredMs: Math.round(ageMsMax.commit),
  });

  test.each([1, 2, 3])(
    'O5, O16: with default timers everywhere the coordinator’s broker is killed and not one slot is dropped, run %i',
    async (run) => {
      const { members, beats, opened } = await kill(`default-${run}`, defaultTimers);
      const { sessionTimeoutMs, heartbeatMs } = defaultTimers;
      await systemClock.sleep(sessionTimeoutMs + 2 * heartbeatMs); // a lease that was not renewed would be over
      const epochs = members.flatMap((member) => member.stats().epochs);
      sayFigures(`coordinator’s broker killed, default timers, run ${run}`, {
        dropped: dropsOf(members).length,
        ...rounded(beats),
        recordsSilentMs: spanOf(epochs.map(({ silenceMsMax }) => silenceMsMax)),
      });
      expect(dropsOf(members)).toEqual([]);
      expect(members.map((member) => member.member.leaseLive())).toEqual([true, true]);
      expect(beats.refusals).toEqual([]);
      expect(Math.max(...Object.values(beats.ageMsMax))).toBeLessThan(sessionTimeoutMs - defaultTimers.guardMs);
      expect(opened.stage.overlaps()).toEqual([]);
      expect((await opened.stage.audit()).problems).toEqual([]);
    },
    120_000,
  );

  test('O1, O2, O16: with fast timers the same costs every slot a short drop, and no two hold one', async () => {
    const { members, beats, opened } = await kill('fast', fastTimers);
    const { stage } = opened;
    const killedAtMs = systemClock.nowMs();
    await systemClock.sleep(fastTimers.sessionTimeoutMs);
    expect(dropsOf(members)).toHaveLength(slots); // each at S − G after its last accepted request
    await stage.held(...members.map((member): [LockMember, number] => [member, slots / 2]));
    const gaps = gapsOf(stage.holdings()).filter(({ fromMs }) => fromMs >= killedAtMs);
    const gapsMs = gaps.map(({ fromMs, toMs }) => toMs - fromMs);
    sayFigures('coordinator’s broker killed, fast timers', {
      dropped: dropsOf(members).length,
      droppedAfterMs: spanOf(dropsOf(members).map(({ atMs }) => atMs - killedAtMs)),
      darkMs: spanOf(gapsMs),
      ...rounded(beats),
    });
    expect(gapsMs.length).toBeGreaterThanOrEqual(slots);
    expect(Math.max(...gapsMs)).toBeLessThan(20_000);
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 120_000);

  test('C1, O1, O2, O16: with default timers everywhere a superseded coordinator keeps nobody’s lease, and its worker’s slots are taken over', async () => {
    const opened = await cluster.open('superseded', 2, defaultTimers);
    const figures = await supersedeCoordinator(cluster, opened);
    const { droppedAfterMs, takenAfterMs, activeAfterMs, droppedBeyond } = figures;
    sayFigures('coordinator superseded, default timers', {
      droppedAfterMs,
      takenAfterMs,
      activeAfterMs,
      droppedBeyond,
    });
    const { sessionTimeoutMs, guardMs, heartbeatMs } = defaultTimers;
    expect(droppedAfterMs).toBeGreaterThan(sessionTimeoutMs - guardMs - 2 * heartbeatMs);
    expect(droppedAfterMs).toBeLessThan(sessionTimeoutMs - guardMs + lateMsMax);
    expect(takenAfterMs).toBeLessThan(sessionTimeoutMs + 15_000); // noticed after 9 s, elected and loaded after 11.5 s
    expect(figures).toMatchObject({ droppedBeyond: 0, takenBecause: 'crash', probeWarned: true });
    expect(opened.stage.overlaps()).toEqual([]);
    expect((await opened.stage.audit()).problems).toEqual([]);
  }, 180_000);

  test('O4, O5, O6: with default timers three processes are replaced one by one, five times over', async () => {
    const { stage } = await cluster.open('rolling', 6, defaultTimers);
    let children = ['a', 'b', 'c'].map((instanceId) => stage.child(instanceId));
    const gapsMs: number[] = [];
    let [moves, tookMs] = [0, 0];
    for (let round = 0; round < 5; round += 1) {
      const figures = await rollingRestart(stage, children);
      children = [...figures.children];
      gapsMs.push(...figures.gapsMs);
      moves += figures.moves;
      tookMs += figures.tookMs;
    }
    sayFigures('five rolling restarts of three, default timers', { tookMs, moves, gapsMs: spanOf(gapsMs) });
    expect(dropsOf(stage.children)).toEqual([]);
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 300_000);
}

if (process.env['TEST_LONG'] === '1') {
  describe('faults of workers in full size', frozenWorkers);
  describe('faults of coordinators in full size', deadCoordinators);
} else {
  test.skip('faults in full size: npm run test:faults', () => undefined);
}
