import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { StreamBlocked, StreamWriter } from '../../query-api/stream-writer.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const text = 'x'.repeat(100 * 1024);
let clock: FakeClock;
let written: (() => void)[];
let gone: AbortController;
let writer: StreamWriter;

beforeEach(() => {
  clock = new FakeClock();
  written = [];
  gone = new AbortController();
  writer = new StreamWriter({ signal: gone.signal, write: (_, drained) => written.push(drained) }, clock, 60_000);
});
afterEach(() => expect(clock.armed).toBe(0));

test('WR1: what the reader has not taken is bounded, and it goes on when it takes', async () => {
  await writer.write(text);
  await writer.write(text);
  let isWritten = false;
  const third = writer.write(text).then(() => (isWritten = true));
  await settled();
  expect([written.length, isWritten]).toEqual([2, false]);
  written.shift()?.();
  await third;
  expect(written).toHaveLength(2);
});

test('WR2: a reader that takes nothing is let go, one that takes a little is not', async () => {
  await writer.write(text);
  await writer.write(text);
  const third = writer.write(text);
  await clock.advance(59_999);
  written.shift()?.();
  await third;
  const fourth = writer.write(text).catch((thrown: unknown) => thrown);
  await clock.advance(60_000);
  expect(await fourth).toBeInstanceOf(StreamBlocked);
});

test('a reader that goes ends the wait', async () => {
  await writer.write(text);
  await writer.write(text);
  const third = writer.write(text).catch((thrown: unknown) => thrown);
  gone.abort(new Error('gone'));
  expect(await third).toEqual(new Error('gone'));
  await expect(writer.write('y')).rejects.toThrow('gone');
});
