import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { Producer } from '../../core/kafka/producer.ts';
import { hasTestKafka } from '../support/kafka.ts';
import { optionsOf, Stage } from '../support/kafka-stage.ts';

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

suite('an unfenced producer on a real Kafka', () => {
  test('answers with the offset of the first record, in the order of the calls', async () => {
    const stage = open();
    const topic = `${stage.prefix}devices`;
    await stage.create(topic);
    const producer = new Producer({ kafka: optionsOf(stage.brokers) });
    stage.onEnd(() => producer.stop());
    await producer.start(new AbortController().signal);
    const record = (text: string) => ({ key: Buffer.from('k'), value: Buffer.from(text) });
    const offsets = await Promise.all([
      producer.send(topic, 0, [record('a'), record('b')]),
      producer.send(topic, 0, [record('c')]),
      producer.send(topic, 3, [{ ...record('d'), header: Buffer.from('h') }]),
    ]);
    expect(offsets).toEqual([0n, 2n, 0n]);
    expect((await stage.read(topic, 0)).map(({ value }) => value!.toString())).toEqual(['a', 'b', 'c']);
    expect((await stage.read(topic, 3))[0]!.header!.toString()).toBe('h');
    await expect(
      producer.send(topic, 0, [{ key: Buffer.from('k'), value: Buffer.alloc(2_000_000) }]),
    ).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    });
    expect(await producer.send(topic, 0, [{ key: Buffer.from('k'), value: null }])).toBe(3n);
  });

  test('waits for a topic that is not there until the caller gives up', async () => {
    const stage = open();
    const producer = new Producer({ kafka: optionsOf(stage.brokers) });
    stage.onEnd(() => producer.stop());
    await producer.start(new AbortController().signal);
    const records = [{ key: Buffer.from('k'), value: null }];
    const signal = AbortSignal.timeout(300);
    await expect(producer.send(`${stage.prefix}missing`, 0, records, signal)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const created = `${stage.prefix}late`;
    const late = producer.send(created, 0, records);
    await systemClock.sleep(200);
    await stage.create(created);
    expect(await late).toBe(0n);
  });
});
