import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const profile = {
  name: 'interfaces',
  encoding: 'proto',
  subscriptions: [
    { path: '/a', mode: 'sample', intervalMs: 10_000 },
    { path: '/b', mode: 'on-change' },
  ],
};

test('list: a line per subscription; the route takes no parameters', async () => {
  server.data('GET /api/v1/profiles', { profiles: [profile], next: null });
  const { code, out } = await server.run('profiles', 'list');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['PROFILE', 'ENCODING', 'MODE', 'INTERVAL', 'PATH'],
    ['interfaces', 'proto', 'sample', '10000 ms', '/a'],
    ['on-change', '-', '/b'],
  ]);
  expect(JSON.parse((await server.run('profiles', 'list', '--json')).out)).toEqual([profile]);
});

test('show and remove', async () => {
  server.data('GET /api/v1/profiles/interfaces', profile);
  expect(JSON.parse((await server.run('profiles', 'show', 'interfaces')).out)).toEqual(profile);
  const detail = 'profile interfaces is used by 1 devices (leaf-1); take it off them first';
  server.answer('DELETE /api/v1/profiles/interfaces', { code: 'PROFILE_IN_USE', title: 'in use', detail }, 409);
  expect(await server.run('profiles', 'remove', 'interfaces')).toEqual({
    code: 1,
    out: '',
    err: `holdfast: PROFILE_IN_USE: ${detail}`,
  });
  server.answer('DELETE /api/v1/profiles/interfaces', '', 204);
  expect((await server.run('profiles', 'remove', 'interfaces', '--json')).out).toContain('"removed": "interfaces"');
});
