import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const leaf = (path: string, value: unknown, origin = 'openconfig') => ({
  device: 'leaf-1',
  origin,
  path,
  value,
  type: 'string',
  timestamp: '1795246383702000001',
  ageMs: 412,
  position: '7:1795246383702:1093',
});
const state = (leaves: object[], more: object = {}) => ({
  leaves,
  total: leaves.length,
  unsynced: [],
  cursor: '1.AA',
  next: null,
  ...more,
});

test('values with age and position; a long one is cut, another origin is written out', async () => {
  const query = 'path=%2Fa%5Bk%3D*%5D&device=leaf-1&label=site%3Dfra&limit=100';
  const leaves = [leaf('/a', '18446744073709551615'), leaf('/b', 'x'.repeat(500), 'vendor')];
  server.data(`GET /api/v1/state?${query}`, state(leaves));
  const { code, out, err } = await server.run('get', '/a[k=*]', '--device', 'leaf-1', '--label', 'site=fra');
  expect([code, err]).toEqual([0, '']);
  const lines = out.split('\n');
  expect(lines[1]?.split(/ {2,}/)).toEqual([
    'leaf-1',
    '/a',
    '"18446744073709551615"',
    '412 ms',
    '7:1795246383702:1093',
  ]);
  expect(lines[2]).toMatch(/vendor:\/b +"x{79}… \(502 characters\)/);
});

test('what may be old or is left out is said beside the table', async () => {
  const more = { total: 9, unsynced: ['a', 'b', 'c', 'd', 'e', 'f'], next: 'tok' };
  server.data('GET /api/v1/state?path=%2F&limit=1', state([leaf('/a', '1')], more));
  const { out, err } = await server.run('get', '/', '--limit', '1');
  expect(out.split('\n')).toHaveLength(2);
  expect(err).toBe(
    '1 of 9 values shown; --limit 9 shows all\n' +
      'no synced session with 6 of the devices asked (a, b, c, d, e, …): their values may be old or missing',
  );
});

test('a limit above one page is read page by page', async () => {
  server.data('GET /api/v1/state?path=%2F&limit=10000', state([leaf('/a', '1')], { next: 'one', total: 3 }));
  server.data('GET /api/v1/state?path=%2F&limit=10000&next=one', state([leaf('/b', '2')], { next: 'two', total: 3 }));
  server.data('GET /api/v1/state?path=%2F&limit=10000&next=two', state([leaf('/c', '3')], { total: 3 }));
  const { out } = await server.run('get', '/', '--limit', '12000', '--json');
  const data = JSON.parse(out) as { leaves: { path: string }[]; next: unknown };
  expect([data.leaves.map(({ path }) => path), data.next]).toEqual([['/a', '/b', '/c'], null]);
});

test('nothing there is 0 and said; wrong use is 2; a wrong path is 1', async () => {
  server.data('GET /api/v1/state?path=%2Fx&limit=100', state([]));
  expect(await server.run('get', '/x')).toEqual({ code: 0, out: 'nothing there', err: '' });
  for (const limit of ['0', 'x', '-1', '1.5']) expect((await server.run('get', '/', '--limit', limit)).code).toBe(2);
  server.answer('GET /api/v1/state?path=%5B&limit=100', { code: 'PATH_MALFORMED', title: 't', detail: 'at 0' }, 400);
  expect(await server.run('get', '[')).toEqual({ code: 1, out: '', err: 'holdfast: PATH_MALFORMED: at 0' });
});
