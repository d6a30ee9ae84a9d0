import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { LogRange } from '../../core/kafka/log-range.ts';
import { LogReader } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { seededRandom } from '../../core/random.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { Replica } from '../../query-api/replica.ts';
import { type LeafChange, type StateListener } from '../../query-api/state-feed.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { encodeHeader, type Position } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka, type TestKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const slots = 2;
const resumeWindowMs = 600_000;
const stops: (() => Promise<void>)[] = [];
const { signal } = new AbortController();

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const optionsOf = (kafka: TestKafka) => ({
  brokers: kafka.brokers,
  clientId: 'test',
  logger: silentLogger,
  clock: systemClock,
});

async function createState(kafka: TestKafka): Promise<string> {
  const topic = `${kafka.prefix}state`;
  const plain = await new PlainProducer(kafka.brokers).open();
  stops.push(() => plain.close());
  const config = { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': `${resumeWindowMs}` };
  await plain.createTopic(topic, slots, config);
  return topic;
}

async function startReplica(
  kafka: TestKafka,
  topic: string,
  more: { holds?: 'none'; identityEveryMs?: number } = {},
): Promise<Replica> {
  const gauges = { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 };
  const replica = new Replica({
    kafka: optionsOf(kafka),
    topic,
    slots,
    ...more,
    resumeWindowMs,
    clock: systemClock,
    logger: silentLogger,
    metrics: createQueryApiMetrics(createMetrics(), gauges),
    onFatal: (error) => {
      throw error;
    },
  });
  stops.push(() => replica.stop());
  await replica.start(signal);
  return replica;
}

/** Writes one position after the other, as the replicator does: some cut in two, and tombstones of leaves that are there. */
async function openWriter(kafka: TestKafka, topic: string, seed: number) {
  const random = seededRandom(seed);
  const plain = await new PlainProducer(kafka.brokers).open();
  stops.push(() => plain.close());
  const seqs = Array.from({ length: slots }, () => 0n);
  const live = new Set<string>();
  let value = 0n;
  const write = async (): Promise<void> => {
    const slot = random.next() < 0.5 ? 0 : 1;
    const seq = (seqs[slot] ?? 0n) + 1n;
    seqs[slot] = seq;
    const count = 1 + Math.floor(random.next() * 6);
    const records = Array.from({ length: count }, (_, n) => {
      value += 1n;
      const leaf = { device: `d${slot}`, origin: 'o', path: `/k${n}`, timestampNs: 3n, atomicRoot: '', sampled: false };
      const encoded = leafCodec.encode({ ...leaf, value: encodeTypedValue({ kind: 'uint', value }) });
      const key = `d${slot}|o:/k${n}`;
      const isGone = live.has(key) && random.next() < 0.2;
      live[isGone ? 'delete' : 'add'](key);
      return { key: Buffer.from(key), value: isGone ? null : encodeFrame(7, encoded) };
    });
    const cut = random.next() < 0.3 ? Math.floor(random.next() * count) : 0;
    for (const [part, more] of [
      [records.slice(0, cut), true],
      [records.slice(cut), false],
    ] as const) {
      // prettier-ignore
      const at = { slot, epoch: 5n, seq, kind: 'data', rpc: 0, more, receivedAtNs: systemClock.nowNs() } as const;
      const hf = encodeHeader(at);
      if (part.length > 0) await plain.send(topic, slot, part.map((record) => ({ ...record, headers: { hf } }))); // prettier-ignore
    }
  };
  return { write, lastOf: (slot: number): Position => ({ slot, epoch: 5n, seq: seqs[slot] ?? 0n }) };
}

const textOf = ({ slot, seq, key, leaf }: LeafChange): string => `${slot}:${seq} ${key} ${leaf?.value.toString('hex')}`;

/** A stream's life: live, away, back at its cursor, at either replica. */
class Stream {
  readonly heard: string[] = [];
  cursor: Position;
  #leave: (() => void) | null = null;
  #busy: Promise<void> = Promise.resolve();
  #away = new AbortController();

  constructor(cursor: Position) {
    this.cursor = cursor;
  }

  listen(replica: Replica): void {
    const listener: StateListener = {
      onChanges: (_slot, changes, through) => this.#hear(changes, through),
      onReset: (slot) => this.heard.push(`reset ${slot}`),
    };
    this.#leave = replica.feed.listen(listener, [this.cursor.slot]);
  }

  goAway(): Promise<void> {
    this.#away.abort(new Error('away'));
    this.#leave?.();
    this.#leave = null;
    return this.#busy;
  }

  comeBack(replica: Replica): void {
    this.#away = new AbortController();
    this.#busy = this.#replay(replica, this.#away.signal).catch((thrown: unknown) => {
      if (!(thrown instanceof Error) || thrown.message !== 'away') throw thrown;
    });
  }

  /** Until it is live again. */
  settled(): Promise<void> {
    return this.#busy;
  }

  async #replay(replica: Replica, away: AbortSignal): Promise<void> {
    for (;;) {
      const start = replica.feed.replay(this.cursor);
      if (start.kind === 'ahead') {
        await replica.reached([this.cursor], 10_000, away);
        continue;
      }
      if (start.kind !== 'replay') throw new Error(`${start.kind}: ${start.detail}`);
      for (;;) {
        const batch = await start.replay.next(away, () => this.listen(replica));
        if (batch === null) return;
        if (away.aborted) return;
        this.#hear(batch.changes, batch.through);
      }
    }
  }

  #hear(changes: readonly LeafChange[], through: Position): void {
    for (const change of changes) this.heard.push(textOf(change));
    this.cursor = through;
  }
}

/** Everything that the log says, as one reads it who knows of nothing but records. */
async function readAll(kafka: TestKafka, topic: string, from: 'earliest' | { slot: number; offset: bigint }) {
  const read: { slot: number; key: string; timestampMs: number; offset: bigint }[] = [];
  const reader = new LogReader({
    kafka: optionsOf(kafka),
    name: 'test',
    onBatch: ({ partition, records }) => {
      for (const { key, timestampMs, offset } of records)
        read.push({ slot: partition, key: key?.toString() ?? '', timestampMs, offset });
    },
    clock: systemClock,
    logger: silentLogger,
  });
  stops.push(() => reader.stop());
  const wanted = from === 'earliest' ? Array.from({ length: slots }, (_, slot) => slot) : [from.slot];
  for (const slot of wanted) reader.assign(topic, slot, from === 'earliest' ? from : from.offset);
  await reader.start(signal);
  await Promise.all(wanted.map((slot) => reader.caughtUp(topic, slot, signal)));
  return read;
}

(hasTestKafka ? describe : describe.skip)('replay out of a real log', () => {
  test('S11: streams that go away and come back, at another replica too, hear every change once and in order', async () => {
    const kafka = testKafka();
    const topic = await createState(kafka);
    const writer = await openWriter(kafka, topic, 11);
    for (let n = 0; n < 20; n += 1) await writer.write();
    const replicas = await Promise.all([startReplica(kafka, topic), startReplica(kafka, topic)]);
    const pick = seededRandom(12);
    const replicaOf = (): Replica => (pick.next() < 0.5 ? replicas[0] : replicas[1]);
    const steady = [0, 1].map((slot) => new Stream(replicas[0].complete(slot)!));
    for (const stream of steady) stream.listen(replicas[0]);
    const moving = Array.from({ length: 12 }, (_, n) => new Stream(replicas[0].complete(n % slots)!));
    for (const stream of moving) stream.comeBack(replicaOf());
    for (let n = 0; n < 400; n += 1) {
      await writer.write();
      const stream = moving[Math.floor(pick.next() * moving.length)];
      if (stream === undefined || pick.next() < 0.4) continue;
      await stream.goAway();
      if (pick.next() < 0.7) stream.comeBack(replicaOf());
    }
    for (const stream of moving) {
      await stream.goAway();
      stream.comeBack(replicaOf());
    }
    const ends = [0, 1].map((slot) => writer.lastOf(slot));
    for (const replica of replicas) expect(await replica.reached(ends, 10_000, signal)).toBe(true);
    for (const stream of moving) await stream.settled();
    for (const stream of moving) {
      const expected = steady[stream.cursor.slot]!;
      expect(stream.heard).toEqual(expected.heard);
      expect(stream.cursor).toEqual(ends[stream.cursor.slot]);
    }
    expect(steady.map(({ heard }) => heard.length > 100)).toEqual([true, true]);
  }, 60_000);

  test('control: who resumes by time instead of a cursor hears changes again, or misses some', async () => {
    const kafka = testKafka();
    const topic = await createState(kafka);
    const writer = await openWriter(kafka, topic, 21);
    for (let n = 0; n < 200; n += 1) await writer.write();
    const all = (await readAll(kafka, topic, 'earliest')).filter(({ slot }) => slot === 0);
    let repeated = 0;
    let missed = 0;
    for (let at = 0; at < all.length - 1; at += 1) {
      const lastHeardMs = all[at]!.timestampMs;
      const fromItsTime = all.findIndex(({ timestampMs }) => timestampMs >= lastHeardMs);
      const behindItsTime = all.findIndex(({ timestampMs }) => timestampMs > lastHeardMs);
      repeated += at + 1 - fromItsTime;
      if (behindItsTime !== -1) missed += behindItsTime - (at + 1);
    }
    expect(repeated).toBeGreaterThan(0);
    expect(missed).toBeGreaterThan(0);
  }, 60_000);

  test('G1, G2: many who read from behind take turns; an offset that is not there is said to be gone', async () => {
    const kafka = testKafka();
    const topic = await createState(kafka);
    const writer = await openWriter(kafka, topic, 31);
    for (let n = 0; n < 60; n += 1) await writer.write();
    const range = new LogRange({
      kafka: optionsOf(kafka),
      name: 'test',
      fetchesMax: 2,
      bytesMax: 1,
      clock: systemClock,
    });
    stops.push(() => {
      range.stop();
      return Promise.resolve();
    });
    const expected = (await readAll(kafka, topic, 'earliest')).filter(({ slot }) => slot === 0);
    const end = expected.at(-1)!.offset + 1n;
    let most = 0;
    const readers = Array.from({ length: 8 }, async () => {
      const offsets: bigint[] = [];
      for (let from = 0n; from < end;) {
        const batch = await range.read(topic, 0, from, signal);
        most = Math.max(most, range.waiting);
        offsets.push(...batch.records.map(({ offset }) => offset));
        from = batch.nextOffset;
      }
      return offsets;
    });
    const offsets = expected.map(({ offset }) => offset);
    for (const read of await Promise.all(readers)) expect(read).toEqual(offsets);
    expect(most).toBeGreaterThan(2);
    const gone = new AbortController();
    const waiting = [1, 2, 3, 4].map(() => range.read(topic, 0, 0n, gone.signal));
    gone.abort(new Error('the client has gone'));
    for (const read of waiting) await expect(read).rejects.toThrow('the client has gone');
    await expect(range.read(topic, 0, end + 5n, signal)).rejects.toMatchObject({ code: 'NOT_CAUGHT_UP' });
    expect((await range.read(topic, 0, 0n, signal)).records[0]!.offset).toBe(0n);
  }, 60_000);

  test('W1: a topic that was made anew is another log: its slots are read anew, listeners are told, cursors differ', async () => {
    const kafka = testKafka();
    const topic = await createState(kafka);
    const before = await openWriter(kafka, topic, 41);
    for (let n = 0; n < 10; n += 1) await before.write();
    const replica = await startReplica(kafka, topic, { identityEveryMs: 200 });
    const tag = replica.logTag;
    expect(tag).toMatch(/^[A-Za-z0-9_-]{6}$/);
    const resets: number[] = [];
    replica.feed.listen({ onChanges: () => undefined, onReset: (slot) => resets.push(slot) });
    const plain = await new PlainProducer(kafka.brokers).open();
    stops.push(() => plain.close());
    await plain.deleteTopic(topic);
    await eventually('the topic is made anew', 20_000, () =>
      plain.createTopic(topic, slots, { 'cleanup.policy': 'compact' }).then(() => true, () => false),
    ); // prettier-ignore
    const after = await openWriter(kafka, topic, 42);
    for (let n = 0; n < 40; n += 1) await after.write(); // beyond the offsets of before: no fetch fails
    await eventually('the replica knows', 20_000, () => replica.logTag !== tag);
    const ends = [0, 1].map((slot) => after.lastOf(slot));
    await eventually('read anew', 20_000, () =>
      [0, 1].every((slot) => replica.complete(slot)?.seq === ends[slot]?.seq && replica.freshness(slot).kind !== 'absent'),
    ); // prettier-ignore
    expect(new Set(resets)).toEqual(new Set([0, 1]));
    const fresh = await startReplica(kafka, topic);
    expect(fresh.logTag).toBe(replica.logTag);
    expect(fresh.store.size).toBe(replica.store.size);
  }, 90_000);

  test('slots are held and let go while it runs; borrowed ones are there when they are needed', async () => {
    const kafka = testKafka();
    const topic = await createState(kafka);
    const writer = await openWriter(kafka, topic, 51);
    for (let n = 0; n < 40; n += 1) await writer.write();
    const replica = await startReplica(kafka, topic, { holds: 'none' });
    const whole = await startReplica(kafka, topic);
    expect([0, 1].map((slot) => replica.freshness(slot).kind)).toEqual(['absent', 'absent']);
    const resets: number[] = [];
    replica.feed.listen({ onChanges: () => undefined, onReset: (slot) => resets.push(slot) });
    replica.hold(new Set([1]));
    await replica.reached([writer.lastOf(1)], 10_000, signal);
    const own = replica.store.size;
    const giveBack = await replica.borrow([0, 1], signal);
    expect(await replica.reached([writer.lastOf(0)], 0, signal)).toBe(true);
    expect(replica.store.size).toBe(whole.store.size);
    expect([...replica.held]).toEqual([1, 0]);
    replica.hold(new Set([0]));
    giveBack();
    expect([...replica.held].sort()).toEqual([0, 1]); // for a while
    expect(own).toBeLessThan(whole.store.size);
    const gone = new AbortController();
    gone.abort(new Error('the client has gone'));
    await expect(replica.borrow([0], gone.signal)).rejects.toThrow('the client has gone');
    expect(resets).toEqual([1, 0]);
  }, 60_000);
});
