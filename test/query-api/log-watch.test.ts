/** What a real Kafka answers is tested in test/integration/replay.test.ts and other-log.test.ts; here it says nothing. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { createLogger, silentLogger } from '../../core/logger.ts';
import { LogWatch, topicWindowMs } from '../../query-api/log-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop();
});

/** A watch of a broker that does `answer` with whoever connects. */
async function watchOf(answer: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    answer(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const broker = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const lines: Record<string, unknown>[] = [];
  const watch = new LogWatch({
    kafka: { brokers: [broker], clientId: 'test', logger: silentLogger, clock: systemClock },
    topic: 'state',
    resumeWindowMs: 600_000,
    onOtherLog: () => undefined,
    clock: new FakeClock(), // nothing ends because time passes
    logger: createLogger({ level: 'warn', format: 'json', destination: { write: (line) => lines.push(JSON.parse(line) as never) } }), // prettier-ignore
  });
  stops.push(() => {
    watch.stop();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { watch, lines };
}

test('the start ends when its signal aborts, whatever the broker is waited for', async () => {
  const { watch } = await watchOf(() => undefined);
  const start = new AbortController();
  const started = watch.start(start.signal);
  start.abort(new Error('stopped while starting'));
  await expect(started).rejects.toThrow('stopped while starting');
});

test('W2: a window that nobody tells is none, and is said once', async () => {
  const { watch, lines } = await watchOf((socket) => socket.destroy());
  await watch.check();
  await watch.check();
  expect([watch.resumeWindowMs, watch.tag]).toEqual([null, null]);
  expect(lines.map(({ msg, topic }) => [msg, topic])).toEqual([
    ['resume window not known, cursors begin anew', 'state'],
  ]);
}, 30_000);

test.each<[string, number, Record<string, string | null>, number | null]>([
  ['as it is said', 0, { 'min.compaction.lag.ms': '60000' }, 60_000],
  ['no window at all', 0, { 'min.compaction.lag.ms': '0' }, 0],
  ['refused, whatever else is said', 29, { 'min.compaction.lag.ms': '60000' }, null],
  ['not said', 0, { 'cleanup.policy': 'compact' }, null],
  ['said to be null', 0, { 'min.compaction.lag.ms': null }, null],
])('W2: the topic’s own window: %s', (_name, code, values, windowMs) => {
  expect(topicWindowMs({ code, values: new Map(Object.entries(values)) })).toBe(windowMs);
  expect(topicWindowMs(undefined)).toBeNull();
});
