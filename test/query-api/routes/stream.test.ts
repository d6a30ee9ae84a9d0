import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SseClient } from '../../support/sse-client.ts';
import { type Api, startApi } from '../api-fixture.ts';

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
