import { afterEach, expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { GnmiWriter } from '../../query-api/gnmi-writer.ts';
import { FakeClock } from '../support/fake-clock.ts';

const opened: GnmiWriter[] = [];
afterEach(() => {
  for (const writer of opened.splice(0)) writer.close();
});

/** A transport that takes what it is told to take. */
function stand() {
  const clock = new FakeClock();
  const untaken: (() => void)[] = [];
  const ended: number[] = [];
  const call = Object.assign(new EventEmitter(), {
    write: (_message: Buffer, taken: () => void) => {
      untaken.push(taken);
      return true;
    },
  });
  const onBlockedTooLong = (): void => void ended.push(clock.monotonicMs());
  const writer = new GnmiWriter({ call, clock, blockedMsMax: 1_000, onReady: () => undefined, onBlockedTooLong });
  opened.push(writer);
  const takeOne = (): void => untaken.shift()?.();
  return { clock, writer, takeOne, ended };
}

test('a message however small that is not taken ends the stream after the setting (T22)', async () => {
  const { clock, writer, ended } = stand();
  writer.write(Buffer.alloc(10));
  await clock.advance(999);
  expect(ended).toEqual([]);
  await clock.advance(1);
  expect(ended).toHaveLength(1);
});

test('whoever takes something now and then is slow, and not blocked', async () => {
  const { clock, writer, takeOne, ended } = stand();
  for (let message = 0; message < 5; message += 1) writer.write(Buffer.alloc(40_000));
  for (let message = 0; message < 4; message += 1) {
    await clock.advance(900);
    takeOne();
  }
  expect(ended).toEqual([]);
  await clock.advance(1_000);
  expect(ended).toHaveLength(1);
});

test('time in which there was nothing to take does not count', async () => {
  const { clock, writer, takeOne, ended } = stand();
  writer.write(Buffer.alloc(10));
  takeOne();
  await clock.advance(5_000);
  writer.write(Buffer.alloc(10));
  await clock.advance(900);
  takeOne();
  await clock.advance(5_000);
  expect(ended).toEqual([]);
});
