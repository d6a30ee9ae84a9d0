import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const synced = { state: 'synced', since: '1795246383702000001', instance: 'ingest-1', code: null, detail: null };
const leaf1 = { name: 'leaf-1', addresses: ['192.0.2.1:9339'], profiles: ['bgp'], status: synced };

test('list: a table with state, age of the state and trouble', async () => {
  const waiting = { ...synced, state: 'waiting', code: 'UNREACHABLE', detail: 'refused' };
  server.data('GET /api/v1/devices', {
    devices: [leaf1, { ...leaf1, name: 'leaf-2', status: waiting }, { name: 'leaf-3', status: null }],
    next: null,
  });
  const { code, out } = await server.run('devices', 'list');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['DEVICE', 'STATE', 'SINCE', 'INSTANCE', 'ADDRESSES', 'PROFILES', 'TROUBLE'],
    ['leaf-1', 'synced', '2 min', 'ingest-1', '192.0.2.1:9339', 'bgp'],
    ['leaf-2', 'waiting', '2 min', 'ingest-1', '192.0.2.1:9339', 'bgp', 'UNREACHABLE: refused'],
    ['leaf-3', 'no owner yet', '-', '-', '-'],
  ]);
});

test('list: every page is read, labels go along', async () => {
  const query = 'label=site%3Dfra&label=role%3Dleaf';
  server.data(`GET /api/v1/devices?${query}`, { devices: [leaf1], next: 'abc' });
  server.data(`GET /api/v1/devices?${query}&next=abc`, { devices: [{ ...leaf1, name: 'leaf-2' }], next: null });
  const { code, out } = await server.run('devices', 'list', '--label', 'site=fra', '--label', 'role=leaf', '--json');
  expect(code).toBe(0);
  expect((JSON.parse(out) as { name: string }[]).map(({ name }) => name)).toEqual(['leaf-1', 'leaf-2']);
});

test('list: none is said in words', async () => {
  server.data('GET /api/v1/devices', { devices: [], next: null });
  expect((await server.run('devices', 'list')).out).toContain('there are no devices');
  expect((await server.run('devices', 'list', '--json')).out).toBe('[]');
});

test('show and remove: names are encoded, a problem shows its code and detail once', async () => {
  server.data('GET /api/v1/devices/leaf-1', leaf1);
  expect(JSON.parse((await server.run('devices', 'show', 'leaf-1')).out)).toEqual(leaf1);
  const problem = { status: 404, code: 'DEVICE_UNKNOWN', title: 'device is unknown', detail: 'there is no device a/b' };
  server.answer('GET /api/v1/devices/a%2Fb', problem, 404);
  expect(await server.run('devices', 'show', 'a/b')).toEqual({
    code: 1,
    out: '',
    err: 'holdfast: DEVICE_UNKNOWN: there is no device a/b',
  });
  server.answer('DELETE /api/v1/devices/leaf-1', '', 204);
  expect(await server.run('devices', 'remove', 'leaf-1')).toEqual({ code: 0, out: 'device leaf-1 removed', err: '' });
  expect(Buffer.from(String(server.asked.at(-1)?.headers['holdfast-user']), 'latin1').toString()).toBe('zoë');
});

test('import: YAML goes out as JSON; counts and warnings come back', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  try {
    const file = join(dir, 'devices.yaml');
    await writeFile(file, 'devices:\n  - { name: leaf-1, addresses: ["h:1"], plaintext: true, profiles: [bgp] }\n');
    const tally = { created: 1, updated: 0, unchanged: 0 };
    const none = { created: 0, updated: 0, unchanged: 0 };
    const data = { devices: tally, profiles: none };
    server.data('POST /api/v1/devices:import', data, { warnings: ['device leaf-1: address h:1 is also that of x'] });
    expect(await server.run('devices', 'import', file)).toEqual({
      code: 0,
      out: 'devices: 1 created, 0 updated, 0 unchanged\nprofiles: 0 created, 0 updated, 0 unchanged',
      err: 'warning: device leaf-1: address h:1 is also that of x',
    });
    expect(JSON.parse(server.asked[0]!.body)).toEqual({
      devices: [{ name: 'leaf-1', addresses: ['h:1'], plaintext: true, profiles: ['bgp'] }],
    });
    const problem = { code: 'BODY_INVALID', title: 'body is invalid', detail: 'a, and 1 more', problems: ['a', 'b'] };
    server.answer('POST /api/v1/devices:import', problem, 400);
    expect((await server.run('devices', 'import', file)).err).toBe('holdfast: BODY_INVALID: body is invalid\n  a\n  b');
  } finally {
    await rm(dir, { recursive: true });
  }
});

test.each([
  ['no file', ['devices', 'import', '/nowhere/x.yaml'], 1, 'cannot read /nowhere/x.yaml'],
  ['no argument', ['devices', 'show'], 2, "missing required argument 'name'"],
  ['an unknown flag', ['devices', 'list', '--lable', 'a=b'], 2, "unknown option '--lable'"],
  ['a label without =', ['devices', 'list', '--label', 'a'], 2, 'It must be written name=value.'],
  ['an address that is none', ['devices', 'list', '--server', '::bad'], 2, 'SETTING_INVALID: --server'],
  ['another scheme', ['devices', 'list', '--server', 'ftp://h'], 2, 'SETTING_INVALID: --server'],
])('wrong use: %s', async (_name, args, code, message) => {
  const run = await server.run(...args);
  expect([run.code, run.out]).toEqual([code, '']);
  expect(run.err).toContain(message);
});

test('a server that is none of ours is named as such, without a stack', async () => {
  server.answer('GET /api/v1/devices', '<html>proxy</html>', 502);
  const run = await server.run('devices', 'list');
  expect(run).toEqual({
    code: 1,
    out: '',
    err: `holdfast: UNREACHABLE: http://${server.address} is no query-api: status 502, "<html>proxy</html>"`,
  });
  expect((await server.run('devices', 'list', '--server', 'http://127.0.0.1:9')).err).toContain('--server URL');
});
