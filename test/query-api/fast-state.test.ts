/** Two servers over one state: one with the fast answer, one without. Whatever is asked, they must not differ (FS1, FS2). */
import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { slotOf } from '../../schemas/slot.ts';
import { FastState } from '../../query-api/fast-state.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { ApiServer } from '../../query-api/server.ts';
import { type Api, connectionLimits, epoch, slots, startApi } from './api-fixture.ts';

let api: Api;
let fast: ApiServer;
/** How many requests the fast answer took. */
let taken = 0;

beforeEach(async () => {
  taken = 0;
  api = await startApi({ fast: false });
  const none = { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 };
  const metrics = createQueryApiMetrics(createMetrics(), none);
  const { context, routes } = api;
  const inner = new FastState({ context, metrics });
  fast = new ApiServer({
    instanceId: 'query-1',
    listen: '127.0.0.1:0',
    advertisedHost: '127.0.0.1',
    routes,
    fast: {
      answer(request, response) {
        const answered = inner.answer(request, response);
        if (answered) taken += 1;
        return answered;
      },
    },
    limits: { ...context.limits, ...connectionLimits },
    clock: context.clock,
    logger: silentLogger,
    metrics,
  });
  await fast.start();
});
afterEach(() => Promise.all([api.server.stop(), fast.stop()]));

interface Asked {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

/** Everything of an answer but what time alone changes. */
function ask(server: ApiServer, { url, method = 'GET', headers = {} }: Asked): Promise<object> {
  return new Promise((resolve, reject) => {
    const options = { port: server.port, host: '127.0.0.1', path: url, method, headers, agent: false };
    const request = httpRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (more: string) => (text += more));
      response.on('end', () => {
        const raw = response.rawHeaders.map((value, index, all) =>
          ['Date', 'Holdfast-Age-Ms'].includes(all[index - 1] ?? '') ? 'some time' : value,
        );
        // The length follows the digits of the ages.
        const length = raw.indexOf('Content-Length');
        expect(method === 'HEAD' || Number(raw[length + 1]) === Buffer.byteLength(text)).toBe(true);
        if (length >= 0) raw[length + 1] = 'its length';
        resolve({ status: response.statusCode, raw, text: text.replace(/"ageMs":\d+/g, '"ageMs":0') });
      });
    });
    request.on('error', reject);
    request.end();
  });
}

/** The answer of both; fails when they differ. */
async function both(asked: Asked): Promise<{ status: number; text: string }> {
  const [quick, slow] = await Promise.all([ask(fast, asked), ask(api.server, asked)]);
  expect({ asked, answer: quick }).toEqual({ asked, answer: slow });
  return quick as { status: number; text: string };
}

async function fleet(): Promise<void> {
  for (const device of ['a', 'b.c_d-e', 'many']) await api.addDevice(device);
  api.setStatus('a', 'synced');
  for (const device of ['a', 'b.c_d-e']) {
    api.addLeaf(device, '/ifs/if[name=x/y]/in', { kind: 'uint', value: 2n ** 64n - 1n });
    api.addLeaf(device, '/ifs/if[name=z]/in', { kind: 'int', value: -1n }, 0n);
    api.addLeaf(device, '/name', { kind: 'string', value: 'Zürich "1"\n\u2028' });
    api.addLeaf(device, '/blob', { kind: 'json', value: Buffer.from('{"a":1e3}') });
    api.addLeaf(device, '/cli', { kind: 'ascii', value: 'x' }, 1n, 'native');
  }
  for (let n = 0; n < 40; n += 1) api.addLeaf('many', `/l[n=${n}]`, { kind: 'bool', value: true });
}

const leaf = encodeURIComponent('/ifs/if[name=x/y]/in');

test('a leaf is answered in front of Express, as the route answers it', async () => {
  await fleet();
  const { status, text } = await both({ url: `/api/v1/devices/a/state?path=${leaf}` });
  expect([status, taken]).toEqual([200, 1]);
  expect(text).toContain('"value":"18446744073709551615"');
  await both({ url: `/api/v1/devices/b.c_d-e/state?path=/name&encoding=typed` });
  await both({ url: `/api/v1/devices/a/state?path=/absent` });
  await both({ url: `/api/v1/devices/a/state?encoding=native&path=/.../in` });
  await both({ url: `/api/v1/devices/a/state?path=native:/` });
  expect(taken).toBe(5);
});

test('the same question once more sees what has changed since: value, position, owner, session, device', async () => {
  await fleet();
  const url = `/api/v1/devices/a/state?path=/name`;
  const first = await both({ url });
  api.addLeaf('a', '/name', { kind: 'string', value: 'new' });
  api.state.mark(slotOf('a', slots), 50n);
  const second = await both({ url });
  expect(second.text).toContain('"value":"new"');
  expect(JSON.parse(second.text)).toHaveProperty(
    'data.cursor',
    expect.not.stringMatching((JSON.parse(first.text) as { data: { cursor: string } }).data.cursor),
  );
  api.setStatus('a', 'waiting');
  expect((await both({ url })).text).toContain('"unsynced":["a"]');
  const slot = slotOf('a', slots);
  const since = { lastSeq: 0n, sinceNs: 0n, reason: 'crash', fromEpoch: 0n, fromSeq: 0n };
  const holder = { instance: 'ingest-1', incarnation: 'x', memberId: 'm', peer: '', zone: '' };
  api.tables.ownership.set(`slot/${slot}`, { kind: 'slot', slot: { slot, state: 'held', epoch, holder, ...since } });
  await both({ url });
  expect(taken).toBe(4);
  await api.ask('/api/v1/devices/a', { method: 'DELETE' });
  expect((await both({ url })).status).toBe(404);
  expect(taken).toBe(4);
});

test.each<[string, Asked]>([
  ['another method', { url: '/api/v1/devices/a/state?path=/name', method: 'HEAD' }],
  ['a change', { url: '/api/v1/devices/a/state?path=/name', method: 'DELETE' }],
  ['a bound on staleness', { url: '/api/v1/devices/a/state?path=/name&maxStalenessMs=60000' }],
  ['a limit', { url: '/api/v1/devices/a/state?path=/name&limit=1' }],
  ['two paths', { url: '/api/v1/devices/a/state?path=/name&path=/blob' }],
  ['no path', { url: '/api/v1/devices/a/state' }],
  ['many leaves', { url: '/api/v1/devices/many/state?path=/' }],
  ['an unknown device', { url: '/api/v1/devices/nobody/state?path=/name' }],
  ['a name of every object', { url: '/api/v1/devices/__proto__/state?path=/name' }],
  ['an encoded name', { url: '/api/v1/devices/%61/state?path=/name' }],
  ['a malformed path', { url: '/api/v1/devices/a/state?path=/name%5B' }],
  ['an unknown parameter', { url: '/api/v1/devices/a/state?path=/name&pth=/' }],
  ['an unknown encoding', { url: '/api/v1/devices/a/state?path=/name&encoding=xml' }],
  ['a URL beyond the limit', { url: `/api/v1/devices/a/state?path=/${'n'.repeat(5_000)}` }],
  ['who wants a redirect', { url: '/api/v1/devices/a/state?path=/name', headers: { Prefer: 'redirect' } }],
  ['what was forwarded', { url: '/api/v1/devices/a/state?path=/name', headers: { 'Holdfast-Forwarded-By': 'q' } }],
  ['another host (Q3)', { url: '/api/v1/devices/a/state?path=/name', headers: { Host: 'evil.example' } }],
])('%s is left to the route (FS2)', async (_what, asked) => {
  await fleet();
  await both(asked);
  expect(taken).toBe(0);
});

test('a slot that is not fresh here and tables that are not read are left to the route (FS2)', async () => {
  await fleet();
  const asked = { url: '/api/v1/devices/a/state?path=/name' };
  api.state.reset(slotOf('a', slots));
  expect((await both(asked)).status).toBe(503);
  (api.tables as { loaded: boolean }).loaded = false;
  expect((await both(asked)).status).toBe(503);
  expect(taken).toBe(0);
});

test('questions that are kept are bounded, and a later one is answered right (FS3)', async () => {
  await fleet();
  const inner = new FastState({
    context: api.context,
    metrics: { requestSeconds: { labels: () => ({ observe: () => undefined }) } } as never,
  });
  const bodyOf = (query: string): string => {
    let body = '';
    const response = { writeHead: () => undefined, end: (text: string) => (body = text) };
    const url = `/api/v1/devices/a/state?${query}`;
    if (!inner.answer({ method: 'GET', url, headers: {} } as never, response as never)) throw new Error(url);
    return body;
  };
  for (let n = 0; n < 5_000; n += 1) bodyOf(`path=/absent${n}`);
  expect(bodyOf('path=/name')).toContain('"path":"/name"');
});

test('random questions are answered alike (FS1, FS2)', async () => {
  await fleet();
  const paths = [
    '/',
    '/name',
    '/ifs',
    '/ifs/if/in',
    '/.../in',
    '/*',
    'native:/',
    'x:/',
    '',
    'name',
    '/a[',
    '/ifs/if[name=z]',
    '//',
    '/name/',
  ];
  const part = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...paths).map((path) => `path=${encodeURIComponent(path)}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'path=/name+x',
        'path=%2fname',
        'path',
        'path=%zz',
        '%70ath=/name',
        '',
        'path=/na%6De',
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom('rfc7951', 'native', 'typed', 'xml', '').map((name) => `encoding=${name}`),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('limit=3', 'limit=0', 'next=x', 'maxWaitMs=1', 'atLeast=1.', 'foo=1', 'device=a'),
    },
  );
  const asked = fc.record({
    device: fc.constantFrom('a', 'a', 'b.c_d-e', 'many', 'nobody', '', 'a/b', 'constructor'),
    parts: fc.array(part, { maxLength: 3 }),
    mark: fc.constantFrom('?', '?', '?', '', '/?', '??'),
    method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'),
    headers: fc.constantFrom(
      {},
      {},
      { 'If-None-Match': '*' },
      { Prefer: 'redirect' },
      { Host: 'localhost' },
      { Host: 'x.example' },
    ),
  });
  // Every second question is one that the fast answer is for: of wholly random ones it takes a few in a hundred.
  const usual = fc.record({
    device: fc.constantFrom('a', 'b.c_d-e'),
    parts: fc.constantFrom(...paths.slice(1, 5)).map((path) => [`path=${encodeURIComponent(path)}`]),
    mark: fc.constant('?'),
    method: fc.constant('GET'),
    headers: fc.constantFrom({}, { 'If-None-Match': '*' }, { Host: 'localhost' }),
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(asked, usual), async ({ device, parts, mark, method, headers }) => {
      await both({ url: `/api/v1/devices/${device}/state${mark}${parts.join('&')}`, method, headers });
    }),
    { numRuns: 200 },
  );
  expect(taken).toBeGreaterThan(50); // about 100 of 200
}, 30_000);

test('it counts as the route does', async () => {
  const counted = await startApi();
  try {
    await counted.addDevice('a');
    await counted.ask('/api/v1/devices/a/state?path=/name');
    const { text } = await counted.ask('/metrics');
    expect(text).toContain(
      'holdfast_query_api_request_seconds_count{route="/api/v1/devices/:name/state",status="200"} 1',
    );
  } finally {
    await counted.server.stop();
  }
});
