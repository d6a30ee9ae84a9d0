import { expect, test } from '@jest/globals';
import { framePrefix } from '../../schemas/frame.ts';
import { type Profile, profileCodec } from '../../schemas/profile.ts';
import { ChangeWriter } from '../../query-api/change-writer.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { MemoryTopic } from './api-fixture.ts';

const record = { key: Buffer.from('a'), value: null };

function createWriter() {
  const clock = new FakeClock();
  const topic = new MemoryTopic<Profile>((message) => profileCodec.decode(message));
  const writer = new ChangeWriter({ sender: topic, framePrefix: () => framePrefix(7), writeTimeoutMs: 200, clock });
  const write = (records = [record]): Promise<void> => writer.write('profiles', topic, new Map([[0, records]]));
  return { clock, topic, write };
}

test('CW1: a change is answered once its last record is in the table, and leaves no timer behind', async () => {
  const { clock, topic, write } = createWriter();
  await write([record, { ...record, key: Buffer.from('b') }]);
  expect(topic.sent.map(({ key, value }) => [key, value])).toEqual([
    ['a', null],
    ['b', null],
  ]);
  expect(clock.armed).toBe(0);
});

test('CW2: a change that is durable and not read back in time says that it may still take effect', async () => {
  const { clock, topic, write } = createWriter();
  topic.visible = false;
  const refused = expect(write()).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true });
  await clock.advance(199);
  expect(clock.armed).toBe(1);
  await clock.advance(1);
  await refused;
  expect(clock.armed).toBe(0);
});

test('CW2: so does one that Kafka has not confirmed, whose late failure is nobody’s any more', async () => {
  const { clock, topic, write } = createWriter();
  let fail: (error: Error) => void = () => undefined;
  topic.send = () => new Promise((_resolve, reject) => (fail = reject));
  const refused = expect(write()).rejects.toThrow('it may still take effect');
  await clock.advance(200);
  await refused;
  fail(new Error('late'));
  await settled();
});

test('what Kafka refuses is told at once', async () => {
  const { clock, topic, write } = createWriter();
  topic.failure = new Error('refused');
  await expect(write()).rejects.toThrow('refused');
  expect(clock.armed).toBe(0);
});
