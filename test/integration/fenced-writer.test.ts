import { afterEach, describe, expect, test } from '@jest/globals';
import { decodeHeader, encodeHeader } from '../../schemas/position.ts';
import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { codecNames, type CompressionSetting } from '../../core/kafka/compression.ts';
import { type FencedWriterOptions } from '../../core/kafka/fenced-writer.ts';
import { ProducerIds } from '../../core/kafka/producer-id.ts';
import { hasTestKafka } from '../support/kafka.ts';
import { common, numbered, optionsOf, seqs, Stage, textOf, until, upTo } from '../support/kafka-stage.ts';

const stages: Stage[] = [];
function open(): Stage {
  const stage = new Stage();
  stages.push(stage);
  return stage;
}
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.end();
});

const suite = hasTestKafka ? describe : describe.skip;

suite('a fenced writer on a real Kafka', () => {
  test('W1: records of one slot are acked, in order, with positions 1, 2, 3 … and their listeners hear of their bytes', async () => {
    const stage = open();
    await stage.create();
    const dispatcher = await stage.dispatcher();
    const { writer } = await stage.writer(dispatcher, 77n, { batchBytesMax: 4_096 });
    let acked = 0;
    const listener = { acked: (bytes: number) => (acked += bytes) };
    let bytes = 0;
    for (let index = 0; index < 500; index += 1) {
      bytes += `v${index}`.length;
      writer.appendNumbered(stage.topic, numbered(`v${index}`), listener);
    }
    expect(writer.unackedBytes).toBeGreaterThan(0);
    await writer.flushed();
    expect(acked).toBe(bytes);
    expect(writer.unackedBytes).toBe(0);
    expect(writer.lastSeq).toBe(500n);
    const records = await stage.read();
    expect(records.map(textOf)).toEqual(Array.from({ length: 500 }, (_, index) => `v${index}`));
    expect(seqs(records)).toEqual(upTo(500));
    expect(decodeHeader(records[9]!.header!)).toMatchObject({ slot: 1, epoch: 77n, kind: 'data', rpc: 3 });
    expect(dispatcher.counters).toMatchObject({ ackedRecords: 500, retriedBatches: 0, reinits: 0 });
    expect(dispatcher.counters.ackedBatches).toBeGreaterThan(5);
  });

  for (const compression of ['auto', ...codecNames] satisfies CompressionSetting[]) {
    test(`batches with compression ${compression} are taken and read back`, async () => {
      const stage = open();
      await stage.create();
      const { writer } = await stage.writer(await stage.dispatcher(), 1n, { compression });
      for (let index = 0; index < 3_000; index += 1)
        writer.appendNumbered(stage.topic, numbered(`interface counter ${index}`));
      await writer.flushed();
      expect(seqs(await stage.read())).toEqual(upTo(3_000));
    });
  }

  test('the old owner is refused once the new one has written; with its lease over it cannot come back', async () => {
    const stage = open();
    await stage.create();
    const dispatcher = await stage.dispatcher();
    const refused = (): boolean => dispatcher.counters.reinits > 0;
    const old = (await stage.writer(dispatcher, 1n, { leaseLive: () => !refused() })).writer;
    await old.appendNumbered(stage.topic, numbered('old 1')).acked;
    const next = (await stage.writer(dispatcher, 2n)).writer;
    await old.appendNumbered(stage.topic, numbered('old 2')).acked; // accepted until the new one's first batch
    await next.appendNumbered(stage.topic, numbered('new 1')).acked;
    const late = old.appendNumbered(stage.topic, numbered('old 3')).acked;
    await until(refused, 'the old one is refused');
    await next.appendNumbered(stage.topic, numbered('new 2')).acked;
    await systemClock.sleep(200);
    expect(old.stop()).toBe(0); // it was sent
    await expect(late).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(() => old.appendNumbered(stage.topic, numbered('x'))).toThrow(HoldfastError);
    expect((await stage.read()).map(textOf)).toEqual(['old 1', 'old 2', 'new 1', 'new 2']);
  });

  test('O14, W3: a rightful owner fenced by a late InitProducerId recovers with its old positions and loses nothing', async () => {
    const stage = open();
    await stage.create();
    const dispatcher = await stage.dispatcher();
    const { writer, fenced } = await stage.writer(dispatcher, 1n);
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    const zombie = await stage.writer(await stage.dispatcher(), 0n); // takes the producer id
    await zombie.writer.appendNumbered(stage.topic, numbered('zombie')).acked; // and writes: now we are refused
    zombie.writer.stop();
    for (let index = 2; index <= 20; index += 1) writer.appendNumbered(stage.topic, numbered(`v${index}`));
    await writer.flushed();
    const ours = (await stage.read()).filter(({ header }) => decodeHeader(header!).epoch === 1n);
    expect(seqs(ours)).toEqual(upTo(20));
    expect(dispatcher.counters.reinits).toBe(1);
    expect(fenced()).toBe(0);
  });

  test('W3: refused again and again without an ack, it gives the slot up as fenced', async () => {
    const stage = open();
    await stage.create();
    const dispatcher = await stage.dispatcher();
    const others = await stage.dispatcher();
    const real = new ProducerIds({ kafka: optionsOf(stage.brokers), ...common });
    stage.onEnd(() => real.destroy());
    let rivals = 0;
    const overtake = async (): Promise<void> => {
      rivals += 1;
      const rival = (await stage.writer(others, BigInt(100 + rivals))).writer;
      await rival.appendNumbered(stage.topic, numbered('rival')).acked;
      rival.stop();
    };
    const producerIds: FencedWriterOptions['producerIds'] = {
      next: async (...order) => {
        const identity = await real.next(...order);
        await overtake(); // somebody else's InitProducerId and batch come between
        return identity;
      },
    };
    const { writer, fenced } = await stage.writer(dispatcher, 1n, { producerIds });
    const ticket = writer.appendNumbered(stage.topic, numbered('never'));
    await expect(ticket.acked).rejects.toMatchObject({ code: 'FENCED' });
    expect(fenced()).toBe(1);
    expect(rivals).toBe(4);
    expect(dispatcher.counters).toMatchObject({ reinits: 3, fenced: 1 });
    expect(() => writer.append(stage.topic, 1, [])).toThrow(expect.objectContaining({ code: 'FENCED' }));
  });

  test('O2, W2: nothing leaves while the lease does not stand; it goes on when it does', async () => {
    const stage = open();
    await stage.create();
    let live = true;
    const { writer } = await stage.writer(await stage.dispatcher(), 1n, { leaseLive: () => live });
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    live = false;
    const ticket = writer.appendNumbered(stage.topic, numbered('v2'));
    await systemClock.sleep(300);
    expect(await stage.read()).toHaveLength(1);
    live = true;
    await ticket.acked;
    expect(seqs(await stage.read())).toEqual(upTo(2));
  });

  test('stop says how many records were never sent, and tickets reject', async () => {
    const stage = open();
    await stage.create();
    let live = true;
    const { writer } = await stage.writer(await stage.dispatcher(), 1n, { leaseLive: () => live, batchBytesMax: 200 });
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    live = false;
    const tickets = Array.from({ length: 7 }, (_, index) =>
      writer.appendNumbered(stage.topic, numbered(`late ${index}`)),
    );
    expect(writer.stop()).toBe(7);
    expect(writer.stop()).toBe(0);
    for (const { acked } of tickets) await expect(acked).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(writer.flushed()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  });

  test('P5: of a batch that is too large only the record that is too large is given up, with a gap marker in its place', async () => {
    const stage = open();
    await stage.create(stage.topic, { 'max.message.bytes': '20000' });
    const dispatcher = await stage.dispatcher();
    const { writer } = await stage.writer(dispatcher, 1n);
    let acked = 0;
    const listener = { acked: (bytes: number) => (acked += bytes) };
    await writer.appendNumbered(stage.topic, numbered('first')).acked;
    for (let index = 2; index <= 41; index += 1) {
      const value = index === 17 ? Buffer.alloc(30_000, 120) : Buffer.alloc(1_000, 97);
      writer.appendNumbered(stage.topic, numbered(value), listener);
    }
    const last = writer.appendNumbered(stage.topic, numbered('last'));
    await last.acked;
    await writer.flushed();
    const records = await stage.read();
    expect(seqs(records)).toEqual(upTo(42));
    const gaps = records.filter(({ header }) => decodeHeader(header!).kind === 'gap');
    expect(gaps.map(({ value }) => value!.toString())).toEqual(['gap 17 true']);
    expect(decodeHeader(gaps[0]!.header!)).toMatchObject({ epoch: 1n, seq: 17n });
    expect(dispatcher.counters).toMatchObject({ givenUpRecords: 1, reinits: 0 });
    expect(acked).toBe(39 * 1_000 + 30_000); // credit for a lost record comes back too
    expect(writer.unackedBytes).toBe(0);
  });

  test('records of one call share a batch, keep their headers, and are left out when they alone are too large', async () => {
    const stage = open();
    const state = `${stage.prefix}state`;
    await stage.create(state, { 'max.message.bytes': '20000' });
    const { writer } = await stage.writer(await stage.dispatcher(), 9n);
    const header = encodeHeader({ slot: 1, epoch: 5n, seq: 8n, kind: 'data', rpc: 0, receivedAtNs: 1n });
    const record = (key: string, value: Buffer | null) => ({
      key: Buffer.from(key),
      value,
      header,
      timestampMs: 1_000,
    });
    writer.append(state, 2, [record('a', Buffer.from('1')), record('b', null)]);
    const refused = writer.append(state, 2, [record('c', Buffer.alloc(40_000))]).acked;
    writer.append(state, 2, [{ ...record('d', Buffer.from('4')), header: null }]);
    await expect(refused).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    await writer.flushed(); // acked or refused
    const records = await stage.read(state, 2);
    expect(
      records.map(({ key, value, header: found }) => [key!.toString(), value?.toString(), found?.equals(header)]),
    ).toEqual([
      ['a', '1', true],
      ['b', undefined, true],
      ['d', '4', undefined],
    ]);
  });

  test('a record given to `append` is never replaced by a gap marker, whatever its header; its owner may go on without it', async () => {
    const stage = open();
    const state = `${stage.prefix}state`;
    await stage.create(state, { 'max.message.bytes': '20000' });
    const told: unknown[] = [];
    const { writer } = await stage.writer(await stage.dispatcher(), 9n, {
      onRefused: ({ partition, key, valueBytes }) => {
        told.push([partition, key?.toString(), valueBytes]);
        return 'go-on';
      },
    });
    const header = encodeHeader({ slot: 1, epoch: 5n, seq: 8n, kind: 'data', rpc: 0, receivedAtNs: 1n });
    const given = { key: Buffer.from('leaf'), value: Buffer.alloc(40_000), header, timestampMs: 1_000 };
    await writer.append(state, 1, [given]).acked;
    expect(told).toEqual([[1, 'leaf', 40_000]]);
    expect(await stage.read(state, 1)).toEqual([]);
    expect(() => writer.appendNumbered(state, numbered('x'))).toThrow('takes numbered records or others');
    expect(writer.lastSeq).toBe(0n);
  });

  test('O5: with the connection cut again and again nothing is missing, repeated or out of order', async () => {
    const stage = open();
    await stage.create();
    const link = await stage.link();
    const dispatcher = await stage.dispatcher(link);
    const { writer } = await stage.writer(dispatcher, 1n, { batchBytesMax: 300 });
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    for (let index = 2; index <= 600; index += 1) {
      writer.appendNumbered(stage.topic, numbered(`v${index}`));
      if (index % 100 === 0) {
        await systemClock.sleep(7);
        link.cut(); // with requests under way
      }
    }
    await writer.flushed();
    expect(seqs(await stage.read())).toEqual(upTo(600));
    expect(dispatcher.counters.retriedBatches).toBeGreaterThan(0);
    expect(dispatcher.counters.reinits).toBe(0);
  });

  test('O5: batches whose answers are lost are sent again with the same sequences and stored once', async () => {
    const stage = open();
    await stage.create();
    const link = await stage.link();
    const dispatcher = await stage.dispatcher(link, 500);
    const { writer } = await stage.writer(dispatcher, 1n, { batchBytesMax: 500 });
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    link.swallowing = true;
    for (let index = 2; index <= 60; index += 1) writer.appendNumbered(stage.topic, numbered(`v${index}`));
    await until(async () => (await stage.read()).length > 1, 'something arrived');
    await until(() => !dispatcher.kafkaOk, 'the silence is noticed');
    link.swallowing = false;
    await writer.flushed();
    expect(seqs(await stage.read())).toEqual(upTo(60));
    expect(dispatcher.counters).toMatchObject({ reinits: 0, ackedRecords: 60 });
  });

  test('while Kafka is away records wait in order, and one line says so', async () => {
    const stage = open();
    await stage.create();
    const link = await stage.link();
    const dispatcher = await stage.dispatcher(link);
    const { writer } = await stage.writer(dispatcher, 1n);
    await writer.appendNumbered(stage.topic, numbered('v1')).acked;
    link.down = true;
    link.cut();
    for (let index = 2; index <= 50; index += 1) {
      writer.appendNumbered(stage.topic, numbered(`v${index}`));
      await systemClock.sleep(10);
    }
    expect(dispatcher.kafkaOk).toBe(false);
    expect(writer.unackedBytes).toBeGreaterThan(0);
    link.down = false;
    await writer.flushed();
    expect(dispatcher.kafkaOk).toBe(true);
    expect(seqs(await stage.read())).toEqual(upTo(50));
    expect(dispatcher.counters.ackedBatches).toBeLessThan(12); // sealed late: what waits grows together
  });
});
