import { type ChildProcess, spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { LogReader } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { slotOwnershipCodec, type SlotOwnership } from '../../schemas/ownership.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { comparePositions, decodeHeader, type Position } from '../../schemas/position.ts';
import { groupOf, parseOwnershipKey, topicOf } from '../../schemas/topics.ts';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { createLockTopics, fastTimers, kafkaFor, LockMember, type HostEvent } from '../support/lock-member.ts';
import { repositoryRoot } from '../support/repository-root.ts';

const slots = 8; // a second member's share moves in one round of balance
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

class Stage {
  readonly brokers: string[];
  readonly prefix: string;

  constructor({ brokers, prefix } = testKafka()) {
    this.brokers = brokers;
    this.prefix = prefix;
  }

  static async create(): Promise<Stage> {
    const stage = new Stage();
    await createLockTopics(stage.brokers, stage.prefix, slots);
    return stage;
  }

  member(instanceId: string, timers = fastTimers): LockMember {
    const member = new LockMember({ brokers: this.brokers, prefix: this.prefix, slots, instanceId, timers });
    closing.push(() => member.stop());
    return member;
  }

  async start(instanceId: string): Promise<LockMember> {
    const member = this.member(instanceId);
    await member.start(new AbortController().signal);
    return member;
  }

  child(instanceId: string): { readonly process: ChildProcess; readonly events: HostEvent[] } {
    const options = { brokers: this.brokers, prefix: this.prefix, slots, instanceId, timers: fastTimers };
    const args = ['--import', 'tsx', join(repositoryRoot, 'test/support/lock-worker.ts'), JSON.stringify(options)];
    const child = spawn(process.execPath, args, { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    const events: HostEvent[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line) as HostEvent));
    closing.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    });
    return { process: child, events };
  }

  /** Everything in a topic up to now. */
  async read<T>(topic: string, partitions: number, take: (key: string, value: Buffer, header: Buffer | null) => T) {
    const found: T[][] = Array.from({ length: partitions }, () => []);
    const reader = new LogReader({
      kafka: kafkaFor(this.brokers, 'audit'),
      name: 'audit',
      clock: systemClock,
      logger: silentLogger,
      onBatch: ({ partition, records }) => {
        for (const { key, value, header } of records) {
          if (key !== null && value !== null) found[partition]?.push(take(key.toString(), value, header));
        }
      },
    });
    for (let partition = 0; partition < partitions; partition += 1) reader.assign(topic, partition, 'earliest');
    const { signal } = new AbortController();
    setMaxListeners(0, signal); // one waiter per partition is no leak
    await reader.start(signal);
    await Promise.all(found.map((_, partition) => reader.caughtUp(topic, partition, signal)));
    await reader.stop();
    return found;
  }

  /** Positions per slot in the order of the log. */
  telemetry(): Promise<Position[][]> {
    return this.read(topicOf(this.prefix, 'telemetry'), slots, (_key, _value, header) => decodeHeader(header!));
  }

  async ownership(): Promise<SlotOwnership[]> {
    const topic = topicOf(this.prefix, 'ownership');
    const [records = []] = await this.read(topic, 1, (key, value) =>
      parseOwnershipKey(key)?.kind === 'slot' ? slotOwnershipCodec.decode(decodeFrame(value).message) : null,
    );
    return records.filter((record) => record !== null);
  }
}

/** O4, O5: the log of a slot as the broker took it: epochs only grow, and seq of each is 1, 2, 3 … without a hole. */
function auditPositions(partitions: readonly (readonly Position[])[]): void {
  for (const positions of partitions) {
    for (const [at, position] of positions.entries()) {
      const before = positions[at - 1];
      if (before === undefined) expect(position.seq).toBe(1n);
      else if (before.epoch === position.epoch) expect(position.seq).toBe(before.seq + 1n);
      else {
        expect(comparePositions(before, position)).toBeLessThan(0);
        expect(position.seq).toBe(1n);
      }
    }
  }
}

const holds = (count: number) => (member: LockMember) => member.member.held().length === count;
const all = (members: readonly LockMember[], ...counts: number[]) =>
  eventually(`slots held: ${counts.join(' ')}`, 20_000, () =>
    members.every((member, index) => holds(counts[index]!)(member)),
  );
const suite = hasTestKafka ? describe : describe.skip;

suite('ownership on a real Kafka', () => {
  test('O6, O11: two members share the slots, a third gets some of them by a planned move with releases', async () => {
    const stage = await Stage.create();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await all([a, b], 4, 4);
    await systemClock.sleep(300); // some records each
    const c = await stage.start('c');
    await all([a, b, c], 3, 3, 2);
    const moved = c.events.filter(({ event }) => event === 'begin');
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
    const telemetry = await stage.telemetry();
    auditPositions(telemetry);
    for (const { slot, takeover } of moved) {
      const last = telemetry[slot]!.filter(({ epoch }) => String(epoch) === takeover?.fromEpoch).at(-1);
      expect(String(last?.seq)).toBe(takeover?.fromSeq); // O11: lastSeq is what the log has
    }
  }, 60_000);

  test('a clean stop hands every slot over and leaves the group; everything is released at the end', async () => {
    const stage = await Stage.create();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await all([a, b], 4, 4);
    const startedMs = systemClock.monotonicMs();
    await a.stop();
    await all([b], slots);
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(fastTimers.sessionTimeoutMs); // no timeout was waited for
    const taken = b.events.filter(({ event, takeover }) => event === 'begin' && takeover?.reason === 'drain');
    expect(taken).toHaveLength(4);
    await b.stop();
    const last = new Map((await stage.ownership()).map((record) => [record.slot, record]));
    expect([...last.values()].map(({ state }) => state)).toEqual(new Array(slots).fill('released'));
    auditPositions(await stage.telemetry());
  }, 60_000);

  test('kill −9: the other member takes over with a higher epoch within the session timeout', async () => {
    const stage = await Stage.create();
    const a = await stage.start('a');
    const { process: child, events } = stage.child('b');
    await eventually(
      'the child holds its share',
      20_000,
      () => events.filter(({ event }) => event === 'activate').length === 4,
    );
    await all([a], 4);
    child.kill('SIGKILL');
    const killedMs = systemClock.monotonicMs();
    await all([a], slots);
    const { sessionTimeoutMs, heartbeatMs } = fastTimers;
    expect(systemClock.monotonicMs() - killedMs).toBeLessThan(sessionTimeoutMs + heartbeatMs + 2_500);
    const epochs = new Map(events.filter(({ event }) => event === 'begin').map(({ slot, epoch }) => [slot, epoch]));
    const taken = a.events.filter(({ event, slot }) => event === 'begin' && epochs.has(slot));
    for (const slot of epochs.keys()) {
      const takeover = taken.findLast((entry) => entry.slot === slot)!;
      expect(BigInt(takeover.epoch)).toBeGreaterThan(BigInt(epochs.get(slot)!));
      expect(takeover.takeover).toEqual({ fromEpoch: epochs.get(slot), fromSeq: '0', reason: 'crash' });
    }
    auditPositions(await stage.telemetry());
  }, 60_000);

  test('O2, O8: a member frozen past its lease publishes nothing when it thaws, and comes back with nothing held', async () => {
    const stage = await Stage.create();
    const a = await stage.start('a');
    const { process: child, events } = stage.child('b');
    await eventually(
      'the child holds its share',
      20_000,
      () => events.filter(({ event }) => event === 'activate').length === 4,
    );
    await all([a], 4);
    child.kill('SIGSTOP');
    await all([a], slots);
    child.kill('SIGCONT');
    await eventually(
      'the child dropped everything',
      5_000,
      () => events.filter(({ event }) => event === 'drop').length === 4,
    );
    await all([a], 4); // and has joined again
    auditPositions(await stage.telemetry());
  }, 60_000);

  test('L1: a member that is removed drops everything at once and joins as new, with higher epochs', async () => {
    const stage = await Stage.create();
    const a = await stage.start('a');
    await all([a], slots);
    const before = a.events.filter(({ event }) => event === 'begin');
    const connection = new KafkaConnection(kafkaFor(stage.brokers, 'leave'), {
      name: 'leave',
      requestTimeoutMs: 5_000,
    });
    closing.push(() => connection.destroy());
    const groupId = groupOf(stage.prefix, 'ingest');
    const broker = await connection.coordinator(groupId, 'group');
    await broker.leaveGroup(groupId, a.member.plan!.members[0]!.memberId);
    await eventually(
      'everything is dropped',
      2_000,
      () => a.events.filter(({ event }) => event === 'drop').length === slots,
    );
    await all([a], slots);
    for (const { slot, epoch } of before) {
      const again = a.events.findLast((entry) => entry.event === 'begin' && entry.slot === slot)!;
      expect(BigInt(again.epoch)).toBeGreaterThan(BigInt(epoch));
    }
    auditPositions(await stage.telemetry());
  }, 60_000);

  test('a session timeout that the brokers refuse is fatal and says what to set', async () => {
    const stage = await Stage.create();
    const timers = { ...fastTimers, sessionTimeoutMs: 100, heartbeatMs: 10, guardMs: 15 };
    const member = stage.member('a', timers);
    const started = member.start(new AbortController().signal);
    await expect(started).rejects.toThrow(/refuse a session timeout of 100 ms: set HOLDFAST_SESSION_TIMEOUT_MS/);
    await expect(started).rejects.toBeInstanceOf(HoldfastError);
    expect(member.fatal).toHaveLength(1);
  }, 30_000);

  test('the replicator’s commits carry offset and position to the next owner', async () => {
    const stage = await Stage.create();
    const a = await stage.start('a');
    await all([a], slots);
    await a.member.commitOffset(3, 4711n, { epoch: 5n, seq: 6n });
    await a.stop();
    await expect(a.member.commitOffset(3, 1n, null)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    const connection = new KafkaConnection(kafkaFor(stage.brokers, 'fetch'), {
      name: 'fetch',
      requestTimeoutMs: 5_000,
    });
    closing.push(() => connection.destroy());
    const groupId = groupOf(stage.prefix, 'ingest');
    const broker = await connection.coordinator(groupId, 'group');
    const [committed] = await broker.offsetFetch(groupId, [{ topic: topicOf(stage.prefix, 'devices'), partition: 3 }]);
    expect(committed).toMatchObject({ offset: 4711n, metadata: expect.stringMatching(/^1 \d+ \S+ 5:6$/) });
  }, 60_000);
});
