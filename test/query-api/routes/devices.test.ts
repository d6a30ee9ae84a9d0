import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Api, startApi } from '../api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await startApi();
});
afterEach(() => api.server.stop());

const subscription = { path: '/', mode: 'sample', intervalMs: 1000 };
const device = { addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [subscription] };
const userHeader = { 'holdfast-user': 'mia' };

test('a device that is put is there at once, with who and when, and its answer is a body of PUT again', async () => {
  const put = await api.send('PUT', '/api/v1/devices/leaf-1', { ...device, labels: { site: 'fra' } }, userHeader);
  expect(put.status).toBe(201);
  const get = await api.ask('/api/v1/devices/leaf-1');
  expect(get.body.data).toMatchObject({ name: 'leaf-1', changedBy: 'mia', labels: { site: 'fra' }, status: null });
  expect(get.headers.get('etag')).toBe(put.headers.get('etag'));
  const again = await api.send('PUT', '/api/v1/devices/leaf-1', get.body.data, { 'holdfast-user': 'tom' });
  expect(again.status).toBe(200);
  expect(again.headers.get('etag')).toBe(get.headers.get('etag'));
  expect(api.tables.devices.sent).toHaveLength(1); // nothing changed, nothing written
});

test('without a name of its own the remote address is the one who changed it', async () => {
  await api.addDevice('a');
  expect((await api.ask('/api/v1/devices/a')).body.data['changedBy']).toMatch(/127\.0\.0\.1/);
  const odd = await api.send('PUT', '/api/v1/devices/b', device, { 'holdfast-user': 'x'.repeat(129) });
  expect([odd.status, odd.body['code']]).toEqual([400, 'PARAMETER_INVALID']);
  const utf8 = await api.send('PUT', '/api/v1/devices/b', device, {
    'holdfast-user': Buffer.from('Zoë').toString('latin1'),
  });
  expect(utf8.body.data['changedBy']).toBe('Zoë');
});

test('the list has status, filters by label and pages', async () => {
  for (const name of ['c', 'a', 'b']) await api.addDevice(name, { labels: { site: name === 'c' ? 'ams' : 'fra' } });
  api.setStatus('a', 'synced');
  const first = await api.ask('/api/v1/devices?label=site=fra&limit=1');
  expect(first.body.data['devices']).toMatchObject([
    {
      name: 'a',
      status: { state: 'synced', since: '1795246383702000001', instance: 'ingest-1', code: null, detail: null },
    },
  ]);
  const second = await api.ask(`/api/v1/devices?label=site=fra&limit=1&next=${first.body.data['next'] as string}`);
  expect(second.body.data).toMatchObject({ devices: [{ name: 'b', status: null }], next: null });
});

test('a device that waits has its code, the words of the device, and the time of the next attempt', async () => {
  await api.addDevice('a');
  api.setStatus('a', 'waiting');
  const row = api.tables.status.get('a')!;
  const said = { code: 'UNREACHABLE', detail: 'refused', retryAtNs: 1_795_246_383_702_000_007n };
  api.tables.status.set('a', { ...row, status: { ...row.status, ...said } });
  expect((await api.ask('/api/v1/devices/a')).body.data['status']).toMatchObject({
    state: 'waiting',
    code: 'UNREACHABLE',
    detail: 'refused',
    retryAt: '1795246383702000007',
  });
  api.setStatus('a', 'synced');
  expect((await api.ask('/api/v1/devices/a')).body.data['status']).toMatchObject({ state: 'synced', retryAt: null });
});

test('preconditions: If-Match and If-None-Match are kept (412)', async () => {
  await api.addDevice('a');
  const etag = (await api.ask('/api/v1/devices/a')).headers.get('etag')!;
  const put = (headers: Record<string, string>, more: object) =>
    api.send('PUT', '/api/v1/devices/a', { ...device, ...more }, headers);
  expect((await put({ 'if-none-match': '*' }, {})).body['code']).toBe('PRECONDITION_FAILED');
  expect((await put({ 'if-match': '"other"' }, { disabled: true })).status).toBe(412);
  expect((await put({ 'if-match': `"other", ${etag}` }, { disabled: true })).status).toBe(200);
  expect((await put({ 'if-match': etag }, { disabled: false })).status).toBe(412);
  expect((await api.ask('/api/v1/devices/a', { method: 'DELETE', headers: { 'if-match': etag } })).status).toBe(412);
  expect((await api.send('PUT', '/api/v1/devices/new', device, { 'if-match': '*' })).status).toBe(412);
  const now = (await api.ask('/api/v1/devices/a')).headers.get('etag')!;
  expect((await api.ask('/api/v1/devices/a', { headers: { 'if-none-match': now } })).status).toBe(304);
  // A proxy that compresses makes a tag weak: enough to know a record by, not to change it by.
  expect((await api.ask('/api/v1/devices/a', { headers: { 'if-none-match': `"x", W/${now}` } })).status).toBe(304);
  expect((await put({ 'if-none-match': `W/${now}` }, {})).status).toBe(412);
  expect((await put({ 'if-match': `W/${now}` }, {})).status).toBe(412);
});

test('a change of status is another answer to GET, and no obstacle to a change', async () => {
  await api.addDevice('a');
  api.setStatus('a', 'connecting');
  const etag = (await api.ask('/api/v1/devices/a')).headers.get('etag')!;
  const known = { headers: { 'if-none-match': etag } };
  expect((await api.ask('/api/v1/devices/a', known)).status).toBe(304);
  api.setStatus('a', 'synced');
  const reply = await api.ask('/api/v1/devices/a', known);
  expect([reply.status, reply.body.data['status']]).toMatchObject([200, { state: 'synced' }]);
  expect((await api.send('PUT', '/api/v1/devices/a', device, { 'if-none-match': etag })).status).toBe(412);
  const put = await api.send('PUT', '/api/v1/devices/a', { ...device, disabled: true }, { 'if-match': etag });
  expect(put.status).toBe(200);
  expect(put.headers.get('etag')).toBe((await api.ask('/api/v1/devices/a')).headers.get('etag'));
});

test('validation lists all problems, and nothing is written', async () => {
  const reply = await api.send('PUT', '/api/v1/devices/a', {
    name: 'b',
    addresses: ['nowhere'],
    colour: 'red',
    profiles: ['nope'],
  });
  expect([reply.status, reply.body['code']]).toEqual([400, 'BODY_INVALID']);
  expect((reply.body['problems'] as string[]).length).toBeGreaterThanOrEqual(3);
  const unknown = await api.send('PUT', '/api/v1/devices/a', { ...device, profiles: ['nope'] });
  expect(unknown.body['problems']).toEqual(['device a: profile "nope" does not exist']);
  expect((await api.send('PUT', '/api/v1/devices/a%20b', device)).status).toBe(400);
  expect((await api.send('PUT', '/api/v1/devices/a', [])).status).toBe(400);
  expect((await api.send('PUT', '/api/v1/devices/a', null)).status).toBe(400);
  expect(api.tables.devices.sent).toEqual([]);
});

test('a literal password is refused and not repeated in the answer', async () => {
  const reply = await api.send('PUT', '/api/v1/devices/a', {
    ...device,
    credentials: { username: 'u', password: 'hunter2\n' },
  });
  expect(reply.status).toBe(400);
  expect(reply.text).not.toContain('hunter2');
});

test('a device named __proto__ with labels like it is a device like any other (N18)', async () => {
  await api.ask('/api/v1/devices/__proto__', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{"addresses":["192.0.2.1:9339"],"plaintext":true,"subscriptions":[{"path":"/"}],"labels":{"__proto__":"x","constructor":"y"}}',
  });
  const reply = await api.ask('/api/v1/devices?label=__proto__=x');
  expect(reply.text).toContain('"labels":{"__proto__":"x","constructor":"y"}');
  expect((await api.ask('/api/v1/devices/constructor')).status).toBe(404);
  const polluted = await api.ask('/api/v1/devices/a', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{"addresses":["192.0.2.1:9339"],"plaintext":true,"subscriptions":[{"path":"/"}],"__proto__":{"disabled":true}}',
  });
  expect(polluted.status).toBe(400);
});

test('two devices with one address: a warning beside the data', async () => {
  await api.addDevice('a');
  const reply = await api.send('PUT', '/api/v1/devices/b', device);
  expect(reply.status).toBe(201);
  expect(reply.body['warnings']).toEqual(['device b: address 192.0.2.1:9339 is also that of a']);
});

test('a profile in use is not deleted (409), an unused one is', async () => {
  expect((await api.send('PUT', '/api/v1/profiles/p', { subscriptions: [subscription] }, userHeader)).status).toBe(201);
  expect((await api.ask('/api/v1/profiles')).body.data['profiles']).toMatchObject([{ name: 'p', changedBy: 'mia' }]);
  await api.addDevice('a', { profiles: ['p'] });
  const used = await api.ask('/api/v1/profiles/p', { method: 'DELETE' });
  expect([used.status, used.body['code'], used.body['devices']]).toEqual([409, 'PROFILE_IN_USE', ['a']]);
  await api.ask('/api/v1/devices/a', { method: 'DELETE' });
  expect((await api.ask('/api/v1/profiles/p', { method: 'DELETE' })).status).toBe(204);
  const gone = await api.ask('/api/v1/profiles/p');
  expect([gone.status, gone.body['code']]).toEqual([404, 'PROFILE_UNKNOWN']);
  expect((await api.ask('/api/v1/devices/a', { method: 'DELETE' })).status).toBe(404);
});

test('an import applies all or, with every problem listed, none', async () => {
  const wrong = await api.send('POST', '/api/v1/devices:import', {
    profiles: [{ name: 'p', subscriptions: [{ path: '/a[' }] }],
    devices: [
      { name: 'a', ...device },
      { name: 'a', ...device },
      { name: 'b', addresses: [] },
    ],
  });
  expect([wrong.status, wrong.body['code']]).toEqual([400, 'BODY_INVALID']);
  expect((wrong.body['problems'] as string[]).length).toBeGreaterThanOrEqual(3);
  expect(api.tables.devices.sent).toEqual([]);
  const body = {
    profiles: [{ name: 'p', subscriptions: [subscription] }],
    devices: Array.from({ length: 50 }, (_, n) => ({
      name: `d${n}`,
      addresses: [`192.0.2.${n}:1`],
      plaintext: true,
      profiles: ['p'],
    })),
  };
  const right = await api.send('POST', '/api/v1/devices:import', body);
  expect(right.body.data).toEqual({
    devices: { created: 50, updated: 0, unchanged: 0 },
    profiles: { created: 1, updated: 0, unchanged: 0 },
  });
  expect(api.tables.devices.size).toBe(50);
  const again = await api.send('POST', '/api/v1/devices:import', body);
  expect(again.body.data['devices']).toEqual({ created: 0, updated: 0, unchanged: 50 });
});

test('a change that is durable but not visible in time is 503, not a success', async () => {
  api.tables.devices.visible = false;
  const reply = await api.send('PUT', '/api/v1/devices/a', device);
  expect([reply.status, reply.body['code'], reply.headers.get('retry-after')]).toEqual([503, 'KAFKA_UNAVAILABLE', '1']);
  api.tables.devices.visible = true;
  expect((await api.send('PUT', '/api/v1/devices/a', device)).status).toBe(201);
});

test('too many waiting changes are refused with 429', async () => {
  await api.server.stop();
  api = await startApi({ writeTimeoutMs: 2_000 }); // on a crowded machine 70 requests take a while
  api.tables.devices.visible = false;
  const replies = await Promise.all(
    Array.from({ length: 70 }, (_, n) =>
      n < 1 ? api.send('PUT', '/api/v1/devices/x', device) : api.send('PUT', `/api/v1/devices/d${n}`, []),
    ),
  );
  const statuses = new Set(replies.map((reply) => reply.status));
  expect(statuses).toContain(503);
  expect(statuses).toContain(429);
});

test('a profile that does not exist is told beside everything else that is wrong', async () => {
  const reply = await api.send('PUT', '/api/v1/devices/a', { addresses: ['x'], profiles: ['nope', 5, 'a b'] });
  expect(reply.body['problems']).toEqual([
    'addresses[0]: must be host:port or [IPv6 address]:port',
    'profiles[1]: must be a text',
    'profiles[2]: must be 1-128 of A-Z a-z 0-9 . _ -, and not . or ..',
    'tls: required, or plaintext: true',
    'device a: profile "nope" does not exist',
  ]);
  const file = { devices: [{ name: 'b', plaintext: true, profiles: ['new', 'nope'] }], profiles: [{ name: 'new' }] };
  expect((await api.send('POST', '/api/v1/devices:import', file)).body['problems']).toEqual([
    'devices[0] (b): addresses: required',
    'profiles[0] (new): subscriptions: required',
    'device b: profile "nope" does not exist',
  ]);
});

test('names that no URL can say are refused, in an import too', async () => {
  for (const name of ['.', '..']) {
    const device = { name, addresses: ['h:1'], plaintext: true, subscriptions: [{ path: '/' }] };
    expect((await api.send('POST', '/api/v1/devices:import', { devices: [device] })).status).toBe(400);
  }
});
