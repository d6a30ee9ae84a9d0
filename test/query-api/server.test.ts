import { connect } from 'node:net';
import { Script } from 'node:vm';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { HoldfastError } from '../../core/errors.ts';
import { silentLogger } from '../../core/logger.ts';
import { ApiServer } from '../../query-api/server.ts';
import { type Api, connectionLimits, startApi } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await startApi();
});
afterEach(() => api.server.stop());

/** Sends bytes as they are and returns the whole answer. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(api.server.port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const put = (body: string, contentType: string | null = 'application/json') =>
  api.ask('/api/v1/devices/a', {
    method: 'PUT',
    body: Buffer.from(body),
    headers: contentType === null ? {} : { 'content-type': contentType },
  });

test('an unknown route is a problem document', async () => {
  for (const path of ['/nowhere', '/api/v1', '/API/v1/devices', '/api/v1/devices/a/b', '/devices:import']) {
    const reply = await api.ask(path);
    expect([path, reply.status, reply.body['code'], reply.headers.get('content-type')]).toEqual([
      path,
      404,
      'ROUTE_UNKNOWN',
      'application/problem+json',
    ]);
  }
});

test('a known route with another method says which it takes', async () => {
  const reply = await api.ask('/api/v1/devices/a', { method: 'POST' });
  expect([reply.status, reply.body['code'], reply.headers.get('allow')]).toEqual([
    405,
    'METHOD_NOT_ALLOWED',
    'GET, HEAD, PUT, DELETE',
  ]);
  expect((await api.ask('/api/v1/devices:import')).headers.get('allow')).toBe('POST');
  expect((await api.ask('/api/v1/state', { method: 'OPTIONS' })).status).toBe(405);
  expect((await api.ask('/healthz', { method: 'DELETE' })).status).toBe(405);
});

test.each<[string, string, string | null, number, string]>([
  ['malformed JSON', '{"a":', 'application/json', 400, 'BODY_INVALID'],
  ['JSON that is no object', '5', 'application/json', 400, 'BODY_INVALID'],
  ['no body', '', 'application/json', 400, 'BODY_INVALID'],
  ['another media type', 'name: a', 'application/yaml', 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['no media type', '{}', null, 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['another charset', '{}', 'application/json; charset=iso-8859-1', 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['too large', `{"name":"${'x'.repeat(70_000)}"}`, 'application/json', 413, 'BODY_TOO_LARGE'],
  ['deeply nested', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'application/json', 400, 'BODY_INVALID'],
])('a body that is %s', async (_name, body, contentType, status, code) => {
  const reply = await put(body, contentType);
  expect([reply.status, reply.body['code']]).toEqual([status, code]);
  expect(reply.text).not.toContain('node_modules');
});

test('malformed percent-encoding is refused, in the path and in the query', async () => {
  for (const path of ['/api/v1/devices/%zz', '/api/v1/devices/%ff', '/api/v1/state?path=%zz']) {
    const reply = await api.ask(path);
    expect([path, reply.status, reply.body['code']]).toEqual([path, 400, 'PARAMETER_INVALID']);
  }
});

test('a URL beyond the limit is refused by us, one beyond reading on the socket', async () => {
  const long = await api.ask(`/api/v1/state?path=${'a'.repeat(5_000)}`);
  expect([long.status, long.body['code'], long.body['maxUrlBytes']]).toEqual([400, 'PARAMETER_INVALID', 4_096]);
  const huge = await raw(`GET /?${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(huge).toContain('400 Bad Request');
  expect(huge).toContain('"code":"PARAMETER_INVALID"');
});

test('what is not HTTP gets one clear answer and the next request is served', async () => {
  expect(await raw('\x00\x01garbage\r\n\r\n')).toContain('application/problem+json');
  expect((await api.ask('/healthz')).status).toBe(200);
});

test('a header cannot be smuggled through names that go into an answer', async () => {
  await api.addDevice('a');
  const reply = await raw(
    'GET /api/v1/devices/a%0d%0aX-Evil:%201/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  );
  expect(reply).toContain('404 Not Found');
  expect(reply.split('\r\n\r\n')[0]).not.toMatch(/x-evil/i);
  const instance = api.context as { instanceId: string };
  instance.instanceId = 'ü\r\nX-Evil: 1';
  const answer = await api.ask('/api/v1/devices/a/state');
  expect(answer.headers.get('holdfast-served-by')).toBe('???X-Evil: 1');
});

test('Q6: every answer says which instance it is of, and so does every refusal', async () => {
  const paths = ['/healthz', '/', '/api/v1/devices', '/api/v1/devices/nobody', '/nowhere', '/api/v1/state?limit=x'];
  for (const path of paths) {
    const reply = await api.ask(path);
    expect([path, reply.headers.get('holdfast-served-by')]).toEqual([path, 'query-1']);
  }
  expect(await raw('garbage\r\n\r\n')).toContain('\r\nHoldfast-Served-By: query-1\r\n');
});

test.each([
  ['localhost:1', 200],
  ['127.0.0.1', 200],
  ['[::1]:8080', 200],
  ['dev.localhost', 200],
  ['rebound.example:8080', 400],
  ['127.0.0.1.rebound.example', 400],
  ['localhost.rebound.example', 400],
])('on loopback, a request for host %s gets %i: no page from elsewhere passes as ours', async (host, status) => {
  const reply = await raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect(reply).toContain(`HTTP/1.1 ${status} `);
});

test('Q4: a POST without a body, which a browser sends unasked, is refused from a page of another origin', async () => {
  const drain = (origin: string): Promise<string> => {
    const host = `127.0.0.1:${api.server.port}`;
    const path = '/api/v1/instances/nobody:drain';
    return raw(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${origin}Content-Length: 0\r\nConnection: close\r\n\r\n`);
  };
  api.tables.sightings.changed('other', true);
  for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${api.server.port + 1}`]) {
    expect(await drain(`Origin: ${origin}\r\n`)).toContain('"code":"PARAMETER_INVALID"');
  }
  expect(await drain(`Origin: http://127.0.0.1:${api.server.port}\r\n`)).toContain('"code":"INSTANCE_UNKNOWN"');
  expect(await drain('')).toContain('"code":"INSTANCE_UNKNOWN"');
});

test('every answer says that its type is what it says', async () => {
  for (const path of ['/', '/healthz', '/nowhere', '/subjects']) {
    expect([path, (await api.ask(path)).headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
  }
});

test('a compressed body that cannot be inflated is a problem of the body', async () => {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const reply = await api.ask('/api/v1/devices/a', { method: 'PUT', body: 'no gzip', headers });
  expect([reply.status, reply.body['code']]).toEqual([400, 'BODY_INVALID']);
});

test('HEAD is GET without the body', async () => {
  const reply = await api.ask('/api/v1/cluster', { method: 'HEAD' });
  expect([reply.status, reply.text]).toEqual([200, '']);
  expect(Number(reply.headers.get('content-length'))).toBeGreaterThan(10);
});

test('/metrics counts requests by route and status, never by path', async () => {
  await api.ask('/api/v1/devices/some-device/state');
  const metrics = await api.ask('/metrics');
  expect(metrics.headers.get('content-type')).toContain('text/plain');
  expect(metrics.text).toContain(
    'holdfast_query_api_request_seconds_count{route="/api/v1/devices/:name/state",status="404"} 1',
  );
  expect(metrics.text).not.toContain('some-device');
});

test('/readyz gives every reason, /healthz does not mind', async () => {
  expect((await api.ask('/readyz')).body.data).toEqual({ ready: true, reasons: [] });
  api.facts.kafkaOk = false;
  api.facts.tablesLoaded = false;
  api.clock.push(60_000);
  const reply = await api.ask('/readyz');
  expect(reply.status).toBe(503);
  expect(reply.body.data['reasons']).toEqual([
    'Kafka does not answer',
    'tables are still being read',
    'slots 0-3: older than 10000 ms',
  ]);
  expect((await api.ask('/healthz')).status).toBe(200);
});

test('the routes of the tables wait for the tables', async () => {
  (api.tables as { loaded: boolean }).loaded = false;
  for (const path of [
    '/api/v1/devices',
    '/api/v1/devices/a',
    '/api/v1/profiles',
    '/api/v1/state',
    '/api/v1/ownership',
    '/api/v1/instances',
  ]) {
    const reply = await api.ask(path);
    expect([path, reply.status, reply.body['code'], reply.headers.get('retry-after')]).toEqual([
      path,
      503,
      'NOT_CAUGHT_UP',
      '1',
    ]);
  }
  expect((await api.ask('/api/v1/cluster')).status).toBe(200);
});

test('the schema registry API answers at the root, read-only', async () => {
  const reply = await api.ask('/schemas/ids/5');
  expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'application/vnd.schemaregistry.v1+json']);
  expect(JSON.parse(reply.text)).toEqual({ schemaType: 'PROTOBUF', schema: 'message' });
  expect(JSON.parse((await api.ask('/subjects')).text)).toEqual(['s']);
  expect((await api.ask('/subjects/s/versions/latest')).status).toBe(200);
  expect((await api.ask('/config')).status).toBe(200);
  const write = await api.ask('/subjects/s/versions', { method: 'POST', body: '{}' });
  expect([write.status, JSON.parse(write.text)]).toMatchObject([405, { error_code: 42205 }]);
});

test('the page at / is self-contained and runs nothing but its own script', async () => {
  const page = await api.ask('/');
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).toMatch(/script-src 'sha256-[^']+'; connect-src 'self'/);
  expect(page.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  const script = /<script>([^]*)<\/script>/.exec(page.text)![1]!;
  expect(() => new Script(script)).not.toThrow();
  expect(page.text).toContain('href="/api/v1/docs"');
  // Whatever the script looks for is there.
  const wanted = [...script.matchAll(/byId\('([^']+)'\)/g)].map(([, id]) => id);
  expect(wanted.length).toBeGreaterThan(20);
  expect(wanted.filter((id) => !page.text.includes(`id="${id}"`))).toEqual([]);
  // H1: text of devices never becomes markup.
  expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
});

test('a second server on the same port says LISTEN_IN_USE', async () => {
  const { limits, clock } = api.context;
  const listen = `127.0.0.1:${api.server.port}`;
  const metrics = { requestSeconds: { observe: () => undefined } } as never;
  const second = new ApiServer({
    instanceId: 'query-1',
    listen,
    advertisedHost: 'x',
    routes: [],
    limits: { ...limits, ...connectionLimits },
    clock,
    logger: silentLogger,
    metrics,
  });
  const failure = await second.start().catch((thrown: unknown) => thrown);
  expect(failure).toBeInstanceOf(HoldfastError);
  expect((failure as HoldfastError).code).toBe('LISTEN_IN_USE');
  await second.stop();
});

test('stop twice is fine, and lets a request in progress finish', async () => {
  const { encodeCursor } = await import('../../schemas/cursor.ts');
  const cursor = encodeCursor([{ slot: 0, epoch: 9_999_999_999_999n, seq: 1n }]);
  const waiting = api.ask(`/api/v1/state?atLeast=${cursor}&maxWaitMs=200`);
  await api.clock.sleep(50);
  await Promise.all([api.server.stop(), api.server.stop()]);
  expect((await waiting).status).toBe(503);
});

test('the page has a command that follows what is shown, and no path breaks out of its quotes', async () => {
  const page = await api.ask('/');
  const [made = ''] = /const followCommand = [^]*?;\n/.exec(page.text) ?? [];
  const follow = new Script(`${made}; followCommand`).runInNewContext() as (...texts: string[]) => string;
  expect(follow('http://h:1', 'leaf-1', '/a/b[name=et-0/0/1]')).toBe(
    "curl -N 'http://h:1/api/v1/state/stream?device=leaf-1&path=/a/b%5Bname%3Det-0/0/1%5D'",
  );
  const [, url = ''] = /^curl -N '([^']*)'$/.exec(follow('http://h', 'a', "/a[b=';$(x)\\]&c]")) ?? [];
  expect(new URL(url).searchParams.get('path')).toBe("/a[b=';$(x)\\]&c]");
});
