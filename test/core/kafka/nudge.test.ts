import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { listen } from '../../../core/listen-address.ts';
import { nudgeByteRate, NudgeLimit, nudgeRate, sendNudge } from '../../../core/kafka/nudge.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('how much is taken or given', () => {
  test('one nudge in 50 ms: the others of that time are dropped, and not made up for', async () => {
    const clock = new FakeClock();
    const limit = new NudgeLimit(nudgeRate, clock);
    const passed: boolean[] = [];
    for (let step = 0; step < 8; step += 1) {
      passed.push(limit.spend(1), limit.spend(1));
      await clock.advance(25);
    }
    const [yes, no] = [true, false];
    expect(passed).toEqual([yes, no, no, no, yes, no, no, no, yes, no, no, no, yes, no, no, no]);
  });

  test('some hundred bytes a second: the backlog of a process that was frozen passes, a flood does not', async () => {
    const clock = new FakeClock();
    const limit = new NudgeLimit(nudgeByteRate, clock);
    expect(limit.spend(512)).toBe(true);
    expect(limit.spend(1)).toBe(false);
    await clock.advance(1_000);
    for (let byte = 0; byte < 512; byte += 1) expect(limit.spend(1)).toBe(true);
    expect(limit.spend(1)).toBe(false);
    await clock.advance(1_000);
    expect(limit.spend(65_536)).toBe(false);
  });
});

test('a nudge is one byte; nothing is kept for a socket that is not connected yet, is closed, or is not read', async () => {
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket.pause()));
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  const socket = connect(port, '127.0.0.1');
  sendNudge(socket);
  expect(socket.writableLength).toBe(0);
  await once(socket, 'connect');
  expect(socket.bytesWritten).toBe(0);
  sendNudge(socket);
  expect(socket.bytesWritten).toBe(1);
  socket.cork(); // as if the kernel took no more
  for (let nudge = 0; nudge < 100; nudge += 1) sendNudge(socket);
  expect(socket.writableLength).toBeLessThanOrEqual(16);
  socket.destroy();
  expect(() => sendNudge(socket)).not.toThrow();
  for (const other of accepted) other.destroy();
  await new Promise((resolve) => server.close(resolve));
});
