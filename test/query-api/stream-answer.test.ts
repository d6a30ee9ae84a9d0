import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { Credit } from '../../core/credit.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { type Route } from '../../query-api/route.ts';
import { ApiServer } from '../../query-api/server.ts';
import { type StreamSink } from '../../query-api/stream-answer.ts';
import { eventually } from '../support/eventually.ts';
import { connectionLimits } from './api-fixture.ts';

let stream: (sink: StreamSink) => Promise<void>;
const ended = (sink: StreamSink): Promise<void> =>
  new Promise((resolve) => sink.signal.addEventListener('abort', () => resolve()));

const route = {
  method: 'GET',
  path: '/stream',
  parameters: [],
  about: {},
  answer: () => ({
    status: 200,
    contentType: 'text/event-stream',
    headers: { 'X-Accel-Buffering': 'no' },
    stream: (sink: StreamSink) => stream(sink),
  }),
} as unknown as Route;

const metrics = createMetrics();
const none = { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 };
const limits = { maxBodyBytes: 1, maxUrlBytes: 4_096, maxLeaves: 1, maxPathElements: 1, maxPaths: 1, maxWaitMs: 1 };
let server: ApiServer;
let socket: Socket;
let received = '';

beforeEach(async () => {
  metrics.registry.clear();
  received = '';
  server = new ApiServer({
    instanceId: 'query-1',
    listen: '127.0.0.1:0',
    advertisedHost: '127.0.0.1',
    routes: [route],
    limits: { ...limits, ...connectionLimits },
    clock: systemClock,
    logger: silentLogger,
    metrics: createQueryApiMetrics(metrics, none),
  });
  await server.start();
});
afterEach(async () => {
  socket.destroy();
  await server.stop();
});

function ask(method = 'GET'): void {
  socket = connect(server.port, '127.0.0.1', () =>
    socket.write(`${method} /stream HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  );
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => (received += text));
}

test('headers leave before the first text, and the request is measured up to them', async () => {
  stream = ended;
  ask();
  await eventually('headers', 2_000, () => received.includes('\r\n\r\n'));
  expect(received).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(received).toMatch(/content-type: text\/event-stream\r\n/i);
  expect(received).toMatch(/cache-control: no-store\r\n/i);
  expect(received).toMatch(/x-accel-buffering: no\r\n/i);
  expect(await metrics.registry.metrics()).toMatch(/request_seconds_count\{route="\/stream",status="200"\} 1/);
});

test('SA1: drained is said in order while the client reads, and no more once it has stopped', async () => {
  const drained: number[] = [];
  const text = 'x'.repeat(65_536);
  stream = async (sink) => {
    let written = 0;
    const credit = new Credit(4 * text.length, () => write());
    const write = (): void => {
      for (; written < 400 && credit.spend(text.length); written += 1) {
        const number = written;
        sink.write(text, () => {
          drained.push(number);
          credit.grant(text.length);
        });
      }
    };
    write();
    await ended(sink);
  };
  ask();
  socket.pause();
  await eventually('some', 2_000, () => drained.length > 0);
  await systemClock.sleep(200);
  const taken = drained.length;
  expect(taken).toBeLessThan(400);
  await systemClock.sleep(100);
  expect(drained).toHaveLength(taken);
  socket.resume();
  await eventually('all', 5_000, () => drained.length === 400);
  expect(drained).toEqual([...drained].sort((a, b) => a - b));
});

test('SA2: a client that goes ends the signal, and what is written then is not drained', async () => {
  let sink: StreamSink | undefined;
  stream = (opened) => {
    sink = opened;
    return ended(opened);
  };
  ask();
  await eventually('stream', 2_000, () => sink !== undefined);
  socket.destroy();
  await eventually('abort', 2_000, () => sink?.signal.aborted);
  sink?.write('late', () => expect(true).toBe(false));
});

test('SA2: a server that stops ends its streams at once', async () => {
  stream = ended;
  ask();
  await eventually('headers', 2_000, () => received.includes('\r\n\r\n'));
  const startedMs = systemClock.monotonicMs();
  await server.stop();
  expect(systemClock.monotonicMs() - startedMs).toBeLessThan(900); // the grace for answers in progress is 1,000
  await eventually('the last chunk', 2_000, () => received.endsWith('0\r\n\r\n'));
});

test('HEAD has the headers and no stream', async () => {
  let streams = 0;
  stream = () => {
    streams += 1;
    return Promise.resolve();
  };
  ask('HEAD');
  await eventually('headers', 2_000, () => received.endsWith('\r\n\r\n'));
  expect(received).toMatch(/text\/event-stream/);
  expect(streams).toBe(0);
});
