import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const stream = 'GET /api/v1/state/stream?path=%2Fa';
const said = (path: string, more: object = {}) => ({
  device: 'leaf-1',
  origin: 'openconfig',
  path,
  timestamp: '1795246383702000001',
  position: '7:1795246383702:1093',
  ...more,
});
const event = (name: string, data: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

test('values, deletes and what was left out in between, with their times; notes go to standard error', async () => {
  const text =
    'retry: 1000\n\n' +
    event('update', { leaves: [said('/a/b', { value: 'UP' }), said('/a/c', { value: '5', origin: 'x' })] }) +
    event('synced', { cursor: '1.A' }, '1.A') +
    event('heartbeat', { ageMs: 3 }, '1.A') +
    event('update', { leaves: [said('/a/b', { value: 'DOWN', coalesced: 3 })] }, '1.B') +
    event('gap', { reason: 'device', device: 'leaf-1', lost: '2', from: null, to: '1795246383702000001' }, '1.B') +
    event('delete', { deletes: [said('/a/c')] }, '1.C');
  server.answer(stream, text);
  const { code, out, err } = await server.run('subscribe', '/a', '--count', '4');
  const at = '2026-11-21T07:33:03.702Z  leaf-1';
  expect(out.split('\n')).toEqual([
    `${at}  /a/b  "UP"`,
    `${at}  x:/a/c  "5"`,
    `${at}  /a/b  "DOWN"  (+3 before)`,
    `${at}  /a/c  deleted`,
  ]);
  expect(err.split('\n').map((line) => line.split(':')[0])).toEqual(['synced', 'gap']);
  expect(err).toContain('2 of device leaf-1 until 2026-11-21T07:33:03.702Z: what is known of it may be old');
  expect(code).toBe(0);
});

test('ES1: cut off, it comes back with the cursor of the last event that it has whole', async () => {
  const first = event('synced', { cursor: '1.A' }, '1.A') + event('update', { leaves: [said('/a/b', { value: '1' })] }, '1.B');
  server.texts(stream, [`${first}id: 1.C\nevent: upd`, event('update', { leaves: [said('/a/b', { value: '2' })] }, '1.C')]);
  const { code, out, err } = await server.run('subscribe', '/a', '--count', '2', '--json');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(['1.A', '1.B', '1.C']);
  expect(server.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1.B']);
  expect(err).toBe('the server has ended the stream; trying again');
}, 10_000); // prettier-ignore

test('--until-synced ends with the present values', async () => {
  const query = `${stream}&device=leaf-1&label=site%3Dfra`;
  server.answer(query, event('synced', { cursor: '1.A' }, '1.A') + event('update', { leaves: [said('/a/b')] }, '1.B'));
  const flags = ['--device', 'leaf-1', '--label', 'site=fra', '--until-synced'];
  expect(await server.run('subscribe', '/a', ...flags)).toMatchObject({ code: 0, out: '' });
});

test('ES2: what cannot pass ends it with the code of the problem', async () => {
  server.answer(stream, { code: 'PATH_MALFORMED', detail: 'path ends inside a key' }, 400);
  expect(await server.run('subscribe', '/a')).toEqual({
    code: 1,
    out: '',
    err: 'holdfast: PATH_MALFORMED: path ends inside a key',
  });
  const { code, err } = await server.run('subscribe', '/a', '--server', '127.0.0.1:1');
  expect(code).toBe(1);
  expect(err).toContain('UNREACHABLE: no answer from http://127.0.0.1:1');
});
