import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { groupOf, topicOf } from '../../schemas/topics.ts';
import { eventually } from '../support/eventually.ts';
import { FaultStage } from '../support/fault-stage.ts';
import { hasTestKafka } from '../support/kafka.ts';
import { fastTimers, kafkaFor, named } from '../support/lock-member.ts';

const slots = 8; // a second member's share moves in one round of balance
const stages: FaultStage[] = [];
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.end();
});

async function open(): Promise<FaultStage> {
  const stage = await FaultStage.create(slots);
  stages.push(stage);
  return stage;
}

const suite = hasTestKafka ? describe : describe.skip;

suite('ownership on a real Kafka', () => {
  test('O6, O11: two members share the slots, a third gets some of them by a planned move with releases', async () => {
    const stage = await open();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await stage.held([a, 4], [b, 4]);
    await systemClock.sleep(300); // some records each
    const c = await stage.start('c');
    await stage.held([a, 3], [b, 3], [c, 2]);
    const moved = named(c.events, 'begin');
    expect(moved).toHaveLength(2);
    for (const { slot, atMs, epoch, takeover } of moved) {
      // A slot may have moved before, from the one of the two that came first to the other: the last release counts.
      const released = [...a.events, ...b.events]
        .filter((entry) => entry.event === 'release' && entry.slot === slot)
        .reduce((last, entry) => (BigInt(entry.epoch) > BigInt(last.epoch) ? entry : last));
      expect(released.atMs).toBeLessThanOrEqual(atMs);
      expect(takeover).toEqual({
        fromEpoch: released.epoch,
        fromSeq: expect.stringMatching(/^[1-9]/),
        reason: 'balance',
      });
      expect(BigInt(epoch)).toBeGreaterThan(BigInt(released.epoch));
    }
    await Promise.all([a.stop(), b.stop(), c.stop()]);
    const { problems, epochs } = await stage.audit();
    expect(problems).toEqual([]);
    for (const { slot, takeover } of moved) {
      const ended = epochs[slot]?.find(({ epoch }) => String(epoch) === takeover?.fromEpoch);
      expect(String(ended?.lastSeq)).toBe(takeover?.fromSeq); // O11: lastSeq is what the log has
    }
  }, 60_000);

  test('a clean stop hands every slot over and leaves the group; everything is released at the end', async () => {
    const stage = await open();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await stage.held([a, 4], [b, 4]);
    const startedMs = systemClock.monotonicMs();
    await a.stop();
    await stage.held([b, slots]);
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(fastTimers.sessionTimeoutMs); // no timeout was waited for
    const taken = named(b.events, 'begin').filter(({ takeover }) => takeover?.reason === 'drain');
    expect(taken).toHaveLength(4);
    await b.stop();
    const last = new Map((await stage.ownership()).map((record) => [record.slot, record]));
    expect([...last.values()].map(({ state }) => state)).toEqual(new Array(slots).fill('released'));
    expect((await stage.audit()).problems).toEqual([]);
  }, 60_000);

  test('L1: a member that is removed drops everything at once and joins as new, with higher epochs', async () => {
    const stage = await open();
    const a = await stage.start('a');
    await stage.held([a, slots]);
    const before = named(a.events, 'begin');
    const connection = new KafkaConnection(kafkaFor(stage.brokers, 'leave'), {
      name: 'leave',
      requestTimeoutMs: 5_000,
    });
    stage.onEnd(() => connection.destroy());
    const groupId = groupOf(stage.prefix, 'ingest');
    const broker = await connection.coordinator(groupId, 'group');
    await broker.leaveGroup(groupId, a.member.plan!.members[0]!.memberId);
    await eventually('everything is dropped', 2_000, () => named(a.events, 'drop').length === slots);
    await stage.held([a, slots]);
    for (const { slot, epoch } of before) {
      const again = a.events.findLast((entry) => entry.event === 'begin' && entry.slot === slot)!;
      expect(BigInt(again.epoch)).toBeGreaterThan(BigInt(epoch));
    }
    expect((await stage.audit()).problems).toEqual([]);
  }, 60_000);

  test('a session timeout that the brokers refuse is fatal and says what to set', async () => {
    const stage = await open();
    const timers = { ...fastTimers, sessionTimeoutMs: 100, heartbeatMs: 10, guardMs: 15 };
    const member = stage.member('a', { timers });
    const started = member.start(new AbortController().signal);
    await expect(started).rejects.toThrow(/refuse a session timeout of 100 ms: set HOLDFAST_SESSION_TIMEOUT_MS/);
    await expect(started).rejects.toBeInstanceOf(HoldfastError);
    expect(member.fatal).toHaveLength(1);
  }, 30_000);

  test('the replicator’s commits carry offset and position to the next owner', async () => {
    const stage = await open();
    const a = await stage.start('a');
    await stage.held([a, slots]);
    await a.member.commitOffset(3, 4711n, { epoch: 5n, seq: 6n });
    await a.stop();
    await expect(a.member.commitOffset(3, 1n, null)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    const connection = new KafkaConnection(kafkaFor(stage.brokers, 'fetch'), {
      name: 'fetch',
      requestTimeoutMs: 5_000,
    });
    stage.onEnd(() => connection.destroy());
    const groupId = groupOf(stage.prefix, 'ingest');
    const broker = await connection.coordinator(groupId, 'group');
    const [committed] = await broker.offsetFetch(groupId, [{ topic: topicOf(stage.prefix, 'devices'), partition: 3 }]);
    expect(committed).toMatchObject({ offset: 4711n, metadata: expect.stringMatching(/^1 \d+ \S+ 5:6$/) });
  }, 60_000);
});
