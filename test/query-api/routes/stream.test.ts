import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { encodeCursor } from '../../../schemas/cursor.ts';
import { slotOf } from '../../../schemas/slot.ts';
import { encodeTypedValue } from '../../../schemas/value.ts';
import { eventually } from '../../support/eventually.ts';
import { SseClient } from '../../support/sse-client.ts';
import { type Api, epoch, slots, startApi } from '../api-fixture.ts';

let api: Api;
const clients: SseClient[] = [];
beforeEach(async () => {
  api = await startApi();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.server.stop();
});

function stream(query: string, lastEventId = ''): SseClient {
  const client = new SseClient({ port: api.server.port, path: `/api/v1/state/stream${query}`, lastEventId });
  clients.push(client);
  return client;
}

test('the present state, then synced with a cursor, then changes', async () => {
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/a/b', { kind: 'uint', value: 2n ** 64n - 1n });
  const client = await stream('?path=/a').synced();
  expect(client.head).toMatch(/content-type: text\/event-stream/i);
  expect(client.events.map(({ event }) => event)).toEqual(['update', 'synced']);
  expect(client.leaves).toMatchObject([{ device: 'leaf-1', path: '/a/b', value: '18446744073709551615' }]);
  expect(client.events[1]?.id).toBe(client.events[1]?.data['cursor']);
  api.addLeaf('leaf-1', '/a/c', { kind: 'string', value: 'x' });
  api.addLeaf('leaf-1', '/b', { kind: 'string', value: 'not asked for' });
  await client.until('the change', () => client.leaves.length === 2);
  expect(client.leaves[1]).toMatchObject({ path: '/a/c', value: 'x' });
});

test('a cursor of this log goes on where it was, one of another log begins anew, and is told so', async () => {
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/a', { kind: 'uint', value: 1n });
  const first = await stream('?path=/a').synced();
  const cursor = first.events[1]?.id ?? '';
  expect(cursor).toMatch(new RegExp(`^1\\..+\\.${api.state.logTag}$`));
  first.close();
  api.addLeaf('leaf-1', '/a', { kind: 'uint', value: 2n });
  const resumed = stream('?path=/a', cursor);
  await resumed.until('the change', () => resumed.leaves.length > 0);
  expect(resumed.events.filter(({ event }) => event === 'gap')).toEqual([]);
  expect(resumed.leaves.map(({ value }) => value)).toEqual(['2']);
  api.state.logTag = 'BBBBBA';
  const anew = await stream('?path=/a', cursor).synced();
  expect(anew.events.map(({ event }) => event)).toEqual(['gap', 'update', 'synced']);
  expect(anew.events[0]?.data).toMatchObject({ reason: 'cursor-unknown', device: null });
  expect(anew.events[2]?.id).toMatch(/\.BBBBBA$/);
});

test.each<[string, string, string, number, string]>([
  ['a malformed path', '?path=/a[', '', 400, 'PATH_MALFORMED'],
  ['a device that is not there', '?device=nobody', '', 404, 'DEVICE_UNKNOWN'],
  ['a parameter of another route', '?limit=1', '', 400, 'PARAMETER_INVALID'],
  ['a malformed cursor', '', 'nonsense', 400, 'CURSOR_MALFORMED'],
])('%s is refused before the stream begins', async (_name, query, cursor, status, code) => {
  const reply = await api.ask(`/api/v1/state/stream${query}`, { headers: cursor === '' ? {} : { 'last-event-id': cursor } });
  expect([reply.status, reply.body['code']]).toEqual([status, code]);
}); // prettier-ignore

test('a slot that is not read yet is a 503 with Retry-After', async () => {
  api.state.reset(0);
  const reply = await api.ask('/api/v1/state/stream');
  expect([reply.status, reply.body['code'], reply.headers.get('retry-after')]).toEqual([503, 'NOT_CAUGHT_UP', '1']);
});

test.each<[string, number[]]>([
  ['of another log, with more slots', [0, 1, 2, 3, 7]],
  ['of another request, with fewer', [0, 1]],
])('a cursor %s is a gap and the full state', async (_name, named) => {
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/a/b', { kind: 'uint', value: 1n });
  const cursor = encodeCursor(named.map((slot) => ({ slot, epoch, seq: 1n })));
  const client = await stream('', cursor).synced();
  expect(client.events.map(({ event }) => event)).toEqual(['gap', 'update', 'synced']);
  expect(client.events[0]?.data).toMatchObject({ reason: 'cursor-unknown', device: null });
});

test('a reader that comes back with its cursor is told what changed, deletes included, and nothing else', async () => {
  await api.addDevice('leaf-1');
  for (const name of ['a', 'b', 'c']) api.addLeaf('leaf-1', `/x/${name}`, { kind: 'string', value: 'before' });
  const first = await stream('').synced();
  first.close();
  api.addLeaf('leaf-1', '/x/b', { kind: 'string', value: 'after' });
  api.addLeaf('leaf-1', '/x/b', { kind: 'string', value: 'later' });
  api.state.write(100n, [], [{ device: 'leaf-1', origin: 'openconfig', path: '/x/c' }]);
  const second = await stream('', first.lastEventId).synced();
  expect(second.leaves.map(({ path, value }) => `${path} ${String(value)}`)).toEqual(['/x/b after', '/x/b later']);
  expect(second.events.map(({ event }) => event)).toEqual(['update', 'delete', 'synced']);
  const third = await stream('', second.lastEventId).synced();
  expect(third.events.map(({ event }) => event)).toEqual(['synced']);
});

test('a cursor ahead of this instance is waited for, and refused when it does not come', async () => {
  const slot = slotOf('leaf-1', slots);
  const at = (seq: bigint) =>
    encodeCursor(Array.from({ length: slots }, (_, n) => ({ slot: n, epoch, seq: n === slot ? seq : 1n })));
  await api.addDevice('leaf-1');
  const waiting = stream('', at(7n));
  await api.clock.sleep(100);
  api.state.write(7n, [{ device: 'leaf-1', origin: 'openconfig', path: '/x/a' }]);
  await waiting.synced();
  expect(waiting.leaves).toEqual([]); // it knew that already
  const reply = await api.ask('/api/v1/state/stream', { headers: { 'last-event-id': at(9n) } });
  expect([reply.status, reply.body['code'], reply.headers.get('retry-after')]).toEqual([503, 'NOT_CAUGHT_UP', '1']);
});

test('more streams than allowed are refused, until one has ended', async () => {
  await api.server.stop();
  api = await startApi({ streams: { maxStreams: 1 } });
  const first = await stream('').synced();
  const reply = await api.ask('/api/v1/state/stream');
  expect([reply.status, reply.body['code']]).toEqual([429, 'LIMIT_EXCEEDED']);
  first.close();
  await eventually('room', 5_000, async () => {
    const next = stream('');
    await next.until('an answer', ({ status }) => status !== 0);
    if (next.status === 200) return true;
    next.close();
    return false;
  });
});

test('a reader that stops costs bounded memory and nobody else’s time; what it missed is counted', async () => {
  await api.server.stop();
  api = await startApi({ streams: { maxQueuedLeaves: 500 } });
  const [stopped, other] = [await stream('?path=/a').synced(), await stream('?path=/a').synced()];
  stopped.pause();
  const rounds = 400;
  const value = encodeTypedValue({ kind: 'string', value: 'x'.repeat(100) });
  for (let round = 0; round < rounds; round += 1) {
    const set = Array.from({ length: 400 }, (_, n) => ({ device: 'd', origin: 'openconfig', path: `/a/l${n}`, value, sampled: true }));
    api.state.write(BigInt(round + 10), set);
    if (round % 10 === 0) await api.clock.sleep(6);
  }
  const toldOf = (client: SseClient): number =>
    client.leaves.reduce((sum, { coalesced = 0 }) => sum + 1 + coalesced, 0);
  await other.until('everything', (client) => toldOf(client) === rounds * 400, 20_000);
  expect(toldOf(stopped)).toBeLessThan(rounds * 400);
  stopped.resume();
  await stopped.until('everything', (client) => toldOf(client) === rounds * 400, 20_000);
  expect(stopped.leaves.length).toBeLessThan(rounds * 400); // the rest is in `coalesced`
  expect(stopped.named('gap')).toEqual([]);
}, 60_000); // prettier-ignore

test('SC2: streams of the same paths share one selection, and give it back when they end', async () => {
  await api.addDevice('leaf-1');
  const { store } = api.state;
  const held: unknown[] = [];
  let released = 0;
  const hold = store.hold.bind(store);
  store.hold = (patterns) => {
    const { selection, release } = hold(patterns);
    held.push(selection);
    const counted = (): void => {
      released += 1;
      release();
    };
    return { selection, release: counted };
  };
  const two = [await stream('?path=/a').synced(), await stream('?path=/a').synced()];
  expect([held.length, held[0] === held[1], released]).toEqual([2, true, 0]);
  for (const client of two) client.close();
  await eventually('both have ended', 5_000, () => released === 2);
  const refused = await api.ask('/api/v1/state/stream?path=/a', { headers: { 'last-event-id': 'nonsense' } });
  expect(refused.status).toBe(400);
  await eventually('what was refused holds nothing', 5_000, () => released === held.length);
});
