/** Three brokers, and one of them killed, on whom a group and a slot depend. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedKafka, forgetKafka } from '../../cli/embedded-kafka.ts';
import { systemClock } from '../../core/clock.ts';
import { checkOffsetsTopic } from '../../core/kafka/offsets-topic.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { decodeHeader } from '../../schemas/position.ts';
import { groupOf, topicOf } from '../../schemas/topics.ts';
import { numbered, seqs, Stage, textOf, until, upTo } from '../support/kafka-stage.ts';
import { LockMember } from '../support/lock-member.ts';
import { testJars } from '../support/test-cache.ts';

const { signal } = new AbortController();
const slots = 2;
const replicated = { 'min.insync.replicas': '2' };
/** A dead broker is noticed within 3 s instead of 9 s; S outlives that and the election. */
const properties = { 'broker.session.timeout.ms': '3000', 'broker.heartbeat.interval.ms': '500' };
const timers = { sessionTimeoutMs: 12_000, rebalanceTimeoutMs: 36_000, heartbeatMs: 500, guardMs: 500 };

describe('three brokers', () => {
  let kafka: EmbeddedKafka;
  let stage: Stage;
  let dataDir = '';

  beforeAll(async () => {
    const jarsDir = await testJars();
    dataDir = await mkdtemp(join(tmpdir(), 'holdfast-three-'));
    kafka = new EmbeddedKafka({ jarsDir, dataDir, nodes: 3, properties, clock: systemClock });
    await kafka.start(signal);
    stage = new Stage({ brokers: kafka.brokers, prefix: 'three.' });
  }, 120_000);

  afterAll(async () => {
    await stage.end();
    await kafka.stop();
    await forgetKafka(dataDir);
  }, 60_000);

  test('one of them is killed, coordinator of the group and leader of a slot: nobody drops, nothing is lost or repeated', async () => {
    const prefix = 'held.';
    for (const name of ['telemetry', 'ownership', 'devices'] as const) {
      await stage.create(topicOf(prefix, name), replicated, name === 'ownership' ? 1 : slots, 3);
    }
    const member = new LockMember({ brokers: kafka.brokers, prefix, slots, instanceId: 'i-1', timers });
    stage.onEnd(() => member.stop());
    await member.start(signal);
    await until(() => member.member.held().length === slots, 'the slots are held');
    const group = groupOf(prefix, 'ingest');
    const doomed = (await stage.connection.findCoordinator(group, 'group')).nodeId;

    await stage.create(stage.topic, replicated, 6, 3);
    const leaders = Array.from({ length: 6 }, (_, partition) => stage.connection.leaderOf(stage.topic, partition));
    const slot = leaders.indexOf(doomed);
    const dispatcher = await stage.dispatcher();
    const { writer, fenced } = await stage.writer(dispatcher, 9n, { slot, batchBytesMax: 2_048 });
    let count = 0;
    const publishing = systemClock.every(5, () => {
      for (let burst = 0; burst < 10; burst += 1) {
        count += 1;
        writer.appendNumbered(stage.topic, numbered(`v${count}`));
      }
    });
    stage.onEnd(() => publishing.cancel());
    await until(() => dispatcher.counters.ackedRecords > 500, 'records flow');

    // Frozen first, and until the last answer has come: what is unanswered then is under way for certain when it dies.
    process.kill(kafka.pid(doomed)!, 'SIGSTOP');
    await systemClock.sleep(200);
    const { counters } = dispatcher;
    const underWay = (): number => counters.batches - counters.ackedBatches - counters.retriedBatches;
    await until(() => underWay() > 0, 'a batch is under way that is never answered');
    const killedAtMs = systemClock.monotonicMs();
    await kafka.stopNode(doomed, 'SIGKILL');
    const killedAfter = dispatcher.counters.ackedRecords;
    await until(() => dispatcher.counters.ackedRecords > killedAfter + 1_000, 'records flow again');
    await until(async () => (await stage.connection.findCoordinator(group, 'group')).nodeId !== doomed, 'it moved');
    publishing.cancel();
    await writer.flushed();

    expect(dispatcher.counters.retriedBatches).toBeGreaterThan(0); // the kill did hit batches under way
    expect(fenced()).toBe(0);
    const records = await until(() => stage.read(stage.topic, slot), 'the log is readable');
    expect(records.map(textOf)).toEqual(Array.from({ length: count }, (_, index) => `v${index + 1}`));
    expect(seqs(records)).toEqual(upTo(count));

    // A lease that nobody renewed since the kill would be over by then.
    await systemClock.sleep(killedAtMs + timers.sessionTimeoutMs - systemClock.monotonicMs());
    expect(member.member.leaseLive()).toBe(true);
    expect(member.events.map(({ event }) => event).sort()).toEqual(['activate', 'activate', 'begin', 'begin']);
    expect(member.fatal).toEqual([]);
    await member.stop();
    for (let held = 0; held < slots; held += 1) {
      const log = await until(() => stage.read(topicOf(prefix, 'telemetry'), held), 'the log is readable');
      expect(seqs(log)).toEqual(upTo(log.length));
      expect(new Set(log.map(({ header }) => decodeHeader(header!).epoch)).size).toBe(1);
    }
  }, 90_000);

  test('the offsets topic is fine with two in-sync replicas: no line', async () => {
    const lines: string[] = [];
    const note = (_fields: object, event: string): number => lines.push(event);
    const logger: Logger = { ...silentLogger, error: note, warn: note };
    await checkOffsetsTopic(stage.connection, logger);
    expect(lines).toEqual([]);
  });

  test('E1: a node that runs is not started over itself', async () => {
    const running = [1, 2, 3].find((nodeId) => kafka.pid(nodeId) !== undefined)!;
    await expect(kafka.startNode(running, signal)).rejects.toThrow('is running');
  });
});
