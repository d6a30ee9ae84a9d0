/** Clients that ask for too much or keep connections: each is bounded, and others are served meanwhile. */
import { afterEach, expect, test } from '@jest/globals';
import { encodeCursor } from '../../schemas/cursor.ts';
import { eventually } from '../support/eventually.ts';
import { type Api, type ApiOverrides, epoch, slots, startApi } from './api-fixture.ts';
import { answersOf, answerTo, exchange, type HeldConnection, hold, request } from './raw-client.ts';

let api: Api;
const held: HeldConnection[] = [];
afterEach(async () => {
  for (const { socket } of held.splice(0)) socket.destroy();
  await api.server.stop();
});

async function start(overrides: ApiOverrides): Promise<void> {
  api = await startApi(overrides);
  await api.addDevice('a');
  api.addLeaf('a', '/a/b', { kind: 'uint', value: 1n });
}

const leafUrl = '/api/v1/devices/a/state?path=/a/b';
/** A request that leaves its connection open. */
const kept = (url: string, headers = ''): string => `GET ${url} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const ahead = (seq: bigint): string => encodeCursor(Array.from({ length: slots }, (_, slot) => ({ slot, epoch, seq })));

function open(count: number, bytes: string): HeldConnection[] {
  const clients = Array.from({ length: count }, () => hold(api.server.port, bytes));
  held.push(...clients);
  return clients;
}

const statusOf = ({ received }: HeldConnection): number => Number(received.slice(9, 12));

test('Q5: 200 clients that send half a request line get 408 and are cut off; others are served all the while', async () => {
  await start({ headersTimeoutMs: 400, requestTimeoutMs: 2_000, maxConnections: 205 });
  const slow = open(200, 'GET /api/v1/st');
  while (!slow.every(({ isEnded }) => isEnded)) {
    expect((await answerTo(api.server.port, request('GET', leafUrl))).status).toBe(200);
  }
  for (const { received } of slow) expect(received).toMatch(/^HTTP\/1.1 408 [^]*"code":"LIMIT_EXCEEDED"/);
  await api.clock.sleep(1_500);
  const more = open(150, kept(leafUrl)); // UR2: none of the 200 has closed its side, and yet their places are free
  await eventually('answers', 10_000, () => more.every((client) => statusOf(client) === 200));
}, 40_000);

test('Q5: a client that sends a byte now and then, or half a body, is cut off as well', async () => {
  await start({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
  const [dripping, half] = [open(1, 'GET / HTTP/1.1\r\nX: ')[0]!, open(1, halfBody)[0]!];
  const drip = setInterval(() => dripping.socket.write('x'), 50);
  await eventually('the end', 5_000, () => dripping.isEnded && half.isEnded).finally(() => clearInterval(drip));
  expect([statusOf(dripping), statusOf(half)]).toEqual([408, 408]);
  expect(answersOf(half.received)).toHaveLength(1);
});

const halfBody =
  'PUT /api/v1/devices/b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{';

test('Q5: a connection more than maxConnections is closed at once, and the first one that ends makes room', async () => {
  api = await startApi({ maxConnections: 3 }); // and nothing else is connected
  const first = open(3, kept('/healthz'));
  await eventually('answers', 2_000, () => first.every((client) => statusOf(client) === 200));
  expect(await exchange(api.server.port, kept('/healthz'))).toBe('');
  first[0]!.socket.destroy();
  await eventually('room', 2_000, async () => (await exchange(api.server.port, request('GET', '/healthz'))) !== '');
});

test('requests sent at once on one connection are answered in their order', async () => {
  await start({});
  const wait = `/api/v1/state?atLeast=${ahead(9n)}&maxWaitMs=100`; // slow, and answered first all the same
  const bytes = [kept(wait), kept(leafUrl), kept('/nowhere'), kept(leafUrl), request('GET', '/healthz').toString()];
  const answers = answersOf(await exchange(api.server.port, bytes.join('')));
  expect(answers.map(({ status }) => status)).toEqual([503, 200, 404, 200, 200]);
});

test('UR1: what cannot be read is answered neither before nor within an answer that is under way', async () => {
  await start({});
  const wait = `/api/v1/state?atLeast=${ahead(9n)}&maxWaitMs=100`;
  expect(await exchange(api.server.port, `${kept(wait)}garbage\r\n\r\n`)).toBe('');
  const [stream] = open(1, kept('/api/v1/state/stream'));
  await eventually('events', 2_000, () => stream!.received.includes('event: synced'));
  stream!.socket.write('garbage\r\n\r\n');
  await eventually('the end', 2_000, () => stream!.isEnded);
  expect(stream!.received).not.toContain('400 Bad Request');
  const after = answersOf(await exchange(api.server.port, `${kept(leafUrl)}garbage\r\n\r\n`));
  expect(after.map(({ status }) => status)).toEqual([200, 400]);
});

test('ST1: of 1,000 streams of one client maxStreams are opened, the others get 429, and places come back', async () => {
  await start({ streams: { maxStreams: 20 } });
  const clients = open(1_000, kept('/api/v1/state/stream'));
  await eventually('answers', 20_000, () => clients.every(({ received }) => received.includes('\r\n\r\n')));
  expect(clients.filter((client) => statusOf(client) === 200)).toHaveLength(20);
  const refused = clients.filter((client) => statusOf(client) === 429);
  expect(refused).toHaveLength(980);
  for (const { received } of refused) expect(received).toMatch(/"code":"LIMIT_EXCEEDED"[^]*"maxStreams":20/);
  expect((await answerTo(api.server.port, request('GET', leafUrl))).status).toBe(200);
  for (const { socket } of clients) socket.destroy();
  await eventually('a place', 2_000, async () => {
    const [again] = open(1, kept('/api/v1/state/stream'));
    await eventually('head', 1_000, () => again!.received.includes('\r\n\r\n'));
    return statusOf(again!) === 200;
  });
}, 40_000);

test('ST1: streams that wait for a cursor, or are asked for at once on one connection, have their places, too', async () => {
  await start({ streams: { maxStreams: 3 } });
  const waiting = open(5, kept('/api/v1/state/stream', `Last-Event-ID: ${ahead(9n)}\r\n`));
  await eventually('refusals', 2_000, () => waiting.filter((client) => statusOf(client) === 429).length === 2);
  for (let slot = 0; slot < slots; slot += 1) api.state.mark(slot, 10n);
  await eventually('streams', 2_000, () => waiting.filter((client) => statusOf(client) === 200).length === 3);
});

test('ST1: streams that are asked for at once on one connection have their places, though only one is answered', async () => {
  await start({ streams: { maxStreams: 3 } });
  const [piped] = open(1, kept('/api/v1/state/stream').repeat(3));
  await eventually('head', 2_000, () => piped!.received.includes('\r\n\r\n'));
  const [other] = open(1, kept('/api/v1/state/stream'));
  await eventually('head', 2_000, () => other!.received.includes('\r\n\r\n'));
  expect([statusOf(piped!), statusOf(other!)]).toEqual([200, 429]);
});
