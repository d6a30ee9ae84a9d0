import { expect, test } from '@jest/globals';
import { ChangeTexts } from '../../query-api/change-text.ts';
import { eventChars } from '../../query-api/sse-text.ts';
import { type LeafChange } from '../../query-api/state-feed.ts';
import { StreamCursor } from '../../query-api/stream-cursor.ts';
import { StreamEvents } from '../../query-api/stream-events.ts';
import { StreamQueue } from '../../query-api/stream-queue.ts';

const at = (seq: number) => ({ slot: 0, epoch: 5n, seq: BigInt(seq) });
const gone = (key: string, seq: number): LeafChange => ({
  ...{
    ...at(seq),
    device: 'd',
    key: `openconfig:/${key}`,
    pathId: 0,
    leaf: null,
    isSameValue: false,
    formerly: null,
    timestampNs: 0n,
  },
});

test('SE1: a sweep of a large device is events of bounded size, and the id moves with the last', () => {
  const queue = new StreamQueue(100_000);
  const cursor = new StreamCursor(() => null);
  cursor.set(at(1));
  const before = cursor.text;
  queue.start(at(1));
  const changes = Array.from({ length: 5_000 }, (_, n) => gone(`interfaces/interface[name=et-${n}]/state/name`, 2));
  expect(queue.put(changes, 0, at(2))).toBe(5_000);
  queue.seal(() => false);
  const { text, events } = new StreamEvents({ queue, cursor, texts: new ChangeTexts(), encoding: 'rfc7951' }).next(0n);
  const told = text.split('\n\n').filter((event) => event !== '');
  expect(told.length).toBe(events.length);
  expect(told.length).toBeGreaterThan(5);
  for (const event of told) expect(event.length).toBeLessThan(eventChars + 1_000);
  const ids = told.map((event) => /^id: (.*)$/m.exec(event)?.[1]);
  expect(new Set(ids.slice(0, -1))).toEqual(new Set([before]));
  expect(ids.at(-1)).toBe(cursor.text);
  expect(cursor.text).not.toBe(before);
});
