/** The lock's faults that need three brokers: the coordinator's broker superseded, and killed. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedKafka, forgetKafka } from '../../cli/embedded-kafka.ts';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { groupOf } from '../../schemas/topics.ts';
import { eventually } from '../support/eventually.ts';
import { BetweenBrokers } from '../support/fault-between.ts';
import { FaultStage } from '../support/fault-stage.ts';
import { kafkaFor, type HostEvent } from '../support/lock-member.ts';
import { testJars } from '../support/test-cache.ts';

const { signal } = new AbortController();
const slots = 2;
/** A dead broker is noticed within 2 s instead of 9 s; S outlives that and the election. */
const properties = { 'broker.session.timeout.ms': '2000', 'broker.heartbeat.interval.ms': '300' };
const timers: LockTimers = { sessionTimeoutMs: 8_000, rebalanceTimeoutMs: 24_000, heartbeatMs: 500, guardMs: 500 };
const replicated = { replicationFactor: 3, patienceMs: 40_000 };
const { sessionTimeoutMs, heartbeatMs, guardMs } = timers;
const lateMsMax = 250;
/** As EmbeddedKafka sets it. */
const offsetsPartitions = 8;

const named = (events: readonly HostEvent[], name: HostEvent['event']): HostEvent[] =>
  events.filter(({ event }) => event === name);

describe('faults of coordinators', () => {
  const between = new BetweenBrokers();
  let kafka: EmbeddedKafka;
  let connection: KafkaConnection;
  let dataDir = '';
  const stages: FaultStage[] = [];

  beforeAll(async () => {
    const jarsDir = await testJars();
    dataDir = await mkdtemp(join(tmpdir(), 'holdfast-faults-'));
    const options = { jarsDir, dataDir, nodes: 3, properties, clock: systemClock } as const;
    kafka = new EmbeddedKafka({ ...options, between: between.between });
    await kafka.start(signal);
    connection = new KafkaConnection(kafkaFor(kafka.brokers, 'test'), { name: 'test', requestTimeoutMs: 5_000 });
  }, 120_000);

  afterEach(async () => {
    between.heal();
    for (const stage of stages.splice(0)) await stage.end();
  }, 60_000);

  afterAll(async () => {
    connection.destroy();
    await kafka.stop();
    await between.close();
    await forgetKafka(dataDir);
  }, 60_000);

  const coordinatorOf = (group: string): Promise<number> =>
    eventually(`a coordinator of ${group}`, 20_000, () =>
      connection.findCoordinator(group, 'group').then(({ nodeId }) => nodeId),
    );

  /** A stage whose group is coordinated by a broker that does not control the cluster: one fault at a time. */
  async function open(name: string): Promise<{ stage: FaultStage; coordinator: number; group: string }> {
    for (let attempt = 1; ; attempt += 1) {
      const prefix = `${name}-${attempt}.`;
      const group = groupOf(prefix, 'ingest');
      const coordinator = await coordinatorOf(group);
      if (coordinator === between.controllerId) continue;
      const stage = new FaultStage({ brokers: kafka.brokers, prefix, slots, timers, ...replicated });
      stages.push(stage);
      await stage.createTopics();
      return { stage, coordinator, group };
    }
  }

  /**
   * A group of one at a broker, which never commits: what is written to a partition of the offsets topic and not
   * replicated holds up the heartbeats of all groups there, so it has to be in another partition than `group`.
   */
  async function joinBystander(group: string, nodeId: number): Promise<() => Promise<void>> {
    const partitionOf = (id: string): number =>
      Math.abs(Buffer.from(id).reduce((hash, byte) => (Math.imul(hash, 31) + byte) | 0, 0)) % offsetsPartitions;
    for (let attempt = 1; ; attempt += 1) {
      const groupId = `bystander-${attempt}`;
      if (partitionOf(groupId) === partitionOf(group) || (await coordinatorOf(groupId)) !== nodeId) continue;
      const broker = await connection.coordinator(groupId, 'group');
      const protocols = [{ name: 'p', metadata: Buffer.from('000100000000ffffffff', 'hex') }];
      const limits = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 };
      const { memberId, generation } = await broker.joinGroup({ groupId, memberId: '', ...limits, protocols });
      await broker.syncGroup({ groupId, memberId, generation }, [{ memberId, assignment: Buffer.from([0]) }]);
      return () => broker.heartbeat({ groupId, memberId, generation });
    }
  }

  let takenAfterMs = 0;

  test('C1, O1, O2: a superseded coordinator answers heartbeats, and the lease of its worker ends by itself', async () => {
    const { stage, coordinator, group } = await open('superseded');
    const [behind, beyond] = [await stage.links(), await stage.links()];
    const lines: string[] = [];
    const note = (fields: object): number => lines.push(JSON.stringify(fields));
    const logger: Logger = { ...silentLogger, warn: note, child: () => logger };
    const a = await stage.start('a', { routes: beyond.routes });
    const b = await stage.start('b', { routes: behind.routes, logger });
    await stage.held([a, 1], [b, 1]);
    const bystander = await joinBystander(group, coordinator);

    const cutAtMs = systemClock.nowMs();
    between.isolate(coordinator);
    for (const index of kafka.brokers.keys()) {
      const isOld = index + 1 === coordinator;
      const link = (isOld ? beyond : behind).links[index]; // each worker on its side
      if (link !== undefined) link.blackHole = true;
    }
    const dropped = await eventually('the worker drops', 2 * sessionTimeoutMs, async () => {
      await bystander(); // as if nothing had happened: a lease by heartbeats alone would go on
      return named(b.events, 'drop')[0];
    });
    await bystander();
    expect(lines.some((line) => line.includes('"lane":"probe"'))).toBe(true);
    expect(dropped.atMs - cutAtMs).toBeGreaterThan(sessionTimeoutMs - guardMs - 2 * heartbeatMs);
    expect(dropped.atMs - cutAtMs).toBeLessThan(sessionTimeoutMs - guardMs + lateMsMax);

    await stage.held([a, slots], [b, 0]);
    expect(named(a.events, 'drop')).toEqual([]); // the other side went over to the new coordinator within its lease
    expect(named(a.events, 'begin').at(-1)?.takeover?.reason).toBe('crash');
    takenAfterMs = (named(a.events, 'begin').at(-1)?.atMs ?? 0) - cutAtMs;
    between.heal();
    for (const link of [...behind.links, ...beyond.links]) link.blackHole = false;
    await stage.held([a, 1], [b, 1]);
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 120_000);

  // The new coordinator gives the member that is gone a full session, once it has noticed the old one's silence. On top
  // come S for a JoinGroup and S/4 for an OffsetFetch that are sent to the old one, which other lanes know is none.
  test.failing('O16: … and its slot is taken over once the new coordinator has expired it', () => {
    expect(takenAfterMs).toBeLessThan(2 * sessionTimeoutMs + 2_000);
  });

  test('O5, O16: the coordinator’s broker is killed: nobody drops, nothing is lost or repeated', async () => {
    const { stage, coordinator, group } = await open('killed');
    const [a, b] = [await stage.start('a'), await stage.start('b')];
    await stage.held([a, 1], [b, 1]);
    const killedAtMs = systemClock.nowMs();
    await kafka.stopNode(coordinator, 'SIGKILL');
    await eventually('another coordinator', 15_000, async () => (await coordinatorOf(group)) !== coordinator);
    // A lease that nobody renewed since the kill would be over by then, and a session too.
    await systemClock.sleep(killedAtMs + sessionTimeoutMs + 500 - systemClock.nowMs());
    for (const member of [a, b]) {
      expect(member.member.leaseLive()).toBe(true);
      expect(named(member.events, 'drop')).toEqual([]);
    }
    for (const { epochs } of [a.stats(), b.stats()]) {
      const lastAckAtMs = Math.max(...epochs.map(({ ackedAtMs }) => ackedAtMs));
      expect(systemClock.nowMs() - lastAckAtMs).toBeLessThan(1_000); // records flow
    }
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 60_000);
});
