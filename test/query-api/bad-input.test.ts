/**
 * Requests that no client should send, each with what it gets: a status, a code, and never more than one answer. After
 * every one of them a good request is answered as ever.
 */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { encodeCursor } from '../../schemas/cursor.ts';
import { type Api, epoch, slots, startApi } from './api-fixture.ts';
import { answerTo, request } from './raw-client.ts';

const maxUrlBytes = 32_768;
const device = { addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }] };
const json = 'Content-Type: application/json\r\n';
const evil = '%0d%0aX-Evil:%201';

let api: Api;
beforeAll(async () => {
  api = await startApi({ maxUrlBytes });
  await api.addDevice('a');
  api.addLeaf('a', '/a/b', { kind: 'uint', value: 1n });
});
afterAll(() => api.server.stop());

const get = (url: string, headers = ''): Buffer => request('GET', url, headers);
const path = (text: string): Buffer => get(`/api/v1/devices/a/state?path=${encodeURIComponent(text)}`);
const put = (body: Buffer | string, headers = json): Buffer => request('PUT', '/api/v1/devices/b', headers, body);
const documentOf = (more: object): string => JSON.stringify({ ...device, ...more });
const subscribed = (text: string): string => documentOf({ subscriptions: [{ path: text }] });
const profile = (body: string): Buffer => request('PUT', '/api/v1/profiles/p', json, body);
const nested = '['.repeat(30_000) + ']'.repeat(30_000);
const nothings = Array<string>(19_999).fill('{}');
const importOf = (...devices: string[]): Buffer =>
  request('POST', '/api/v1/devices:import', json, `{"devices":[${devices.join(',')}]}`);
const future = encodeCursor(
  Array.from({ length: slots }, (_, slot) => ({ slot, epoch: epoch + 1_000_000n, seq: 2n ** 64n - 1n })),
);
const cursorOfSlot = (slot: number): string => encodeCursor([{ slot, epoch, seq: 1n }]);
/** A billion zeros would do; 1 MB in 1 KB is beyond the limit of 64 KB as well. */
const bomb = gzipSync(Buffer.from(`{"name":"${'x'.repeat(1_000_000)}"}`));

const table: readonly (readonly [what: string, bytes: () => Buffer | string, status: number, code: string | null])[] = [
  ['a path with a key that does not end', () => path('/a['), 400, 'PATH_MALFORMED'],
  ['a path with half a key', () => path('/a[b'), 400, 'PATH_MALFORMED'],
  ['a path with text behind a key', () => path('/foo[a=1]x'), 400, 'PATH_MALFORMED'],
  ['a path with an empty key name', () => path('/a[=v]'), 400, 'PATH_MALFORMED'],
  ['an empty path', () => path(''), 400, 'PARAMETER_INVALID'],
  ['a path of 17 elements, one too many', () => path('/e'.repeat(17)), 400, 'PATH_MALFORMED'],
  ['a path of 10,000 elements', () => path('/e'.repeat(10_000)), 400, 'PARAMETER_INVALID'],
  ['the same, its slashes as they are', () => get(`/api/v1/state?path=${'/e'.repeat(10_000)}`), 400, 'PATH_MALFORMED'],
  ['a path of 10,000 wildcards', () => get(`/api/v1/state?path=${'/*'.repeat(10_000)}`), 400, 'PATH_MALFORMED'],
  ['a URL beyond its limit', () => get(`/${'u'.repeat(maxUrlBytes)}`), 400, 'PARAMETER_INVALID'],
  ['the path once too often', () => get(`/api/v1/state?${'path=/a&'.repeat(5)}`), 400, 'PARAMETER_INVALID'],
  ['a limit twice', () => get('/api/v1/state?limit=1&limit=2'), 400, 'PARAMETER_INVALID'],
  ['a parameter that is none', () => get('/api/v1/state?pth=/a'), 400, 'PARAMETER_INVALID'],
  ['a parameter called __proto__', () => get('/api/v1/state?__proto__=1'), 400, 'PARAMETER_INVALID'],
  ['a page token that is none', () => get('/api/v1/state?next=W1tbW1tb'), 400, 'PARAMETER_INVALID'],
  ['a cursor that is none', () => get('/api/v1/state?atLeast=x'), 400, 'CURSOR_MALFORMED'],
  ['a cursor that is cut off', () => get(`/api/v1/state?atLeast=${future.slice(0, -1)}`), 400, 'CURSOR_MALFORMED'],
  ['a cursor of a slot too many', () => get(`/api/v1/state?atLeast=${cursorOfSlot(slots)}`), 400, 'CURSOR_MALFORMED'],
  ['a cursor from the future', () => get(`/api/v1/state?atLeast=${future}&maxWaitMs=50`), 503, 'TOO_STALE'],
  ['a stream from nowhere', () => get('/api/v1/state/stream', 'Last-Event-ID: x\r\n'), 400, 'CURSOR_MALFORMED'],
  ['a stream from 1.=', () => get('/api/v1/state/stream', 'Last-Event-ID: 1.=\r\n'), 400, 'CURSOR_MALFORMED'],
  [
    'a stream from a byte that is no ASCII',
    () => get('/api/v1/state/stream', 'Last-Event-ID: \xff\r\n'),
    400,
    'CURSOR_MALFORMED',
  ],
  ['a stream from the future', () => get('/api/v1/state/stream', `Last-Event-ID: ${future}\r\n`), 503, 'NOT_CAUGHT_UP'],
  [
    'a stream of a path of 10,000 elements',
    () => get(`/api/v1/state/stream?path=${'/e'.repeat(10_000)}`),
    400,
    'PATH_MALFORMED',
  ],
  ['a stream of a device with CR and LF', () => get(`/api/v1/state/stream?device=a${evil}`), 404, 'DEVICE_UNKNOWN'],
  ['a stream of a path that is none', () => get('/api/v1/state/stream?path=/a['), 400, 'PATH_MALFORMED'],
  ['a body of another type', () => put('name: b', 'Content-Type: text/yaml\r\n'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['a form', () => put('a=1', 'Content-Type: multipart/form-data\r\n'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['a body beyond its limit', () => put(`"${'x'.repeat(70_000)}"`), 413, 'BODY_TOO_LARGE'],
  ['a body that is not JSON', () => put('{"name":'), 400, 'BODY_INVALID'],
  ['a small body that inflates', () => put(bomb, `${json}Content-Encoding: gzip\r\n`), 413, 'BODY_TOO_LARGE'],
  ['half a gzip', () => put(bomb.subarray(0, 9), `${json}Content-Encoding: gzip\r\n`), 400, 'BODY_INVALID'],
  ['an unknown coding', () => put('{}', `${json}Content-Encoding: x\r\n`), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['no body', () => put(''), 400, 'BODY_INVALID'],
  ['chunks beyond the limit', () => chunked(70_000), 413, 'BODY_TOO_LARGE'],
  ['a chunk of nonsense', () => put('zz\r\n', `${json}Transfer-Encoding: chunked\r\n`), 400, 'PARAMETER_INVALID'],
  ['a device with a path of 17 elements', () => put(subscribed('/e'.repeat(17))), 400, 'BODY_INVALID'],
  ['a device with a path of 10,000 elements', () => put(subscribed('/e'.repeat(10_000))), 400, 'BODY_INVALID'],
  ['a profile with a path of 10,000', () => profile(subscribed('/e'.repeat(10_000))), 400, 'BODY_INVALID'],
  ['an import with one of 10,000', () => importOf(subscribed('/e'.repeat(10_000))), 400, 'BODY_INVALID'],
  ['an import of 20,000 devices that are none', () => importOf('{}', ...nothings), 400, 'BODY_INVALID'],
  ['a device of 10,001 profiles', () => put(documentOf({ profiles: Array(10_001).fill('p') })), 400, 'BODY_INVALID'],
  [
    'a device whose name is 30,000 lists',
    () => put(documentOf({ name: 0 }).replace(':0', `:${nested}`)),
    400,
    'BODY_INVALID',
  ],
  ['a device that is 30,000 lists', () => put(nested), 400, 'BODY_INVALID'],
  [
    'labels that are 30,000 lists',
    () => put(documentOf({ labels: 0 }).replace(':0', `:${nested}`)),
    400,
    'BODY_INVALID',
  ],
  ['a device with half a path', () => put(subscribed('/a[b')), 400, 'BODY_INVALID'],
  ['a key __proto__', () => put(`{"__proto__":{"plaintext":true},"x":1}`), 400, 'BODY_INVALID'],
  ['a key constructor', () => put(documentOf({ constructor: {} })), 400, 'BODY_INVALID'],
  ['labels that are no texts', () => put(documentOf({ labels: { a: {} } })), 400, 'BODY_INVALID'],
  ['a name with CR and LF', () => get(`/api/v1/devices/a${evil}`), 404, 'DEVICE_UNKNOWN'],
  ['state of such a device', () => get(`/api/v1/devices/a${evil}/state`), 404, 'DEVICE_UNKNOWN'],
  ['a profile of such a name', () => get(`/api/v1/profiles/a${evil}`), 404, 'PROFILE_UNKNOWN'],
  [
    'a slot of such a name',
    () => request('POST', `/api/v1/ownership/0${evil}:move`, json, '{}'),
    400,
    'PARAMETER_INVALID',
  ],
  [
    'a device to add with CR and LF',
    () => request('PUT', `/api/v1/devices/b${evil}`, json, documentOf({})),
    400,
    'BODY_INVALID',
  ],
  ['a path with CR and LF', () => get(`/api/v1/devices/a/state?path=/x[${evil}`), 400, 'PATH_MALFORMED'],
  ['a parameter with CR and LF', () => get(`/api/v1/state?limit=1${evil}`), 400, 'PARAMETER_INVALID'],
  ['a parameter of such a name', () => get(`/api/v1/state?a${evil}=1`), 400, 'PARAMETER_INVALID'],
  ['a route with CR and LF', () => get(`/nowhere${evil}`), 404, 'ROUTE_UNKNOWN'],
  ['a Host with quotes and brackets', () => host('"<localhost>"'), 400, 'PARAMETER_INVALID'],
  ['a Host of bytes', () => host('\xff\xfe'), 400, 'PARAMETER_INVALID'],
  ['a Host with a user', () => host('localhost@evil.example'), 400, 'PARAMETER_INVALID'],
  ['a header name with a space', () => get('/healthz', 'X Y: 1\r\n'), 400, 'PARAMETER_INVALID'],
  ['a header with a NUL', () => get('/healthz', 'X: \0\r\n'), 400, 'PARAMETER_INVALID'],
  ['two lengths', () => put('{}', `${json}Content-Length: 1\r\n`), 400, 'PARAMETER_INVALID'],
  ['a length and chunks', () => put('{}', `${json}Transfer-Encoding: chunked\r\n`), 400, 'PARAMETER_INVALID'],
  ['a device __proto__', () => get('/api/v1/devices/__proto__'), 404, 'DEVICE_UNKNOWN'],
  ['a device constructor', () => get('/api/v1/state?device=constructor'), 404, 'DEVICE_UNKNOWN'],
  ['a profile __proto__', () => get('/api/v1/profiles/__proto__'), 404, 'PROFILE_UNKNOWN'],
  ['a label without a name', () => get('/api/v1/state?label==x'), 400, 'PARAMETER_INVALID'],
  ['bad percent-encoding', () => get('/api/v1/state?path=%zz'), 400, 'PARAMETER_INVALID'],
  ['the same in the route', () => get('/api/v1/devices/%'), 400, 'PARAMETER_INVALID'],
  ['UTF-8 that is none', () => get('/api/v1/state?path=%c3%28'), 400, 'PARAMETER_INVALID'],
  ['half a surrogate', () => get('/api/v1/devices/%ed%a0%80'), 400, 'PARAMETER_INVALID'],
  ['bytes that are no ASCII', () => get('/api/v1/devices/\xff\xfe'), 400, 'PARAMETER_INVALID'],
  ['headers without end', () => get('/', `X: ${'x'.repeat(60_000)}\r\n`), 400, 'PARAMETER_INVALID'],
  ['thousands of headers', () => get('/', 'X: y\r\n'.repeat(60_000)), 400, 'PARAMETER_INVALID'],
  ['garbage', () => '\x16\x03\x01\x02\r\n\r\n', 400, 'PARAMETER_INVALID'],
  ['a request line with too much', () => 'GET / / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'PARAMETER_INVALID'],
  ['a method that is none', () => 'GETT / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'PARAMETER_INVALID'],
  ['HTTP/9.9', () => 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n', 400, 'PARAMETER_INVALID'],
];

function host(name: string): string {
  return `GET /healthz HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;
}

function chunked(bytes: number): Buffer {
  const body = `${bytes.toString(16)}\r\n"${'x'.repeat(bytes - 2)}"\r\n0\r\n\r\n`;
  const head = `PUT /api/v1/devices/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${json}`;
  return Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${body}`);
}

test.each(table)('%s gets its code, and the next request its answer', async (_what, bytes, status, code) => {
  const sent = bytes();
  const answer = await answerTo(api.server.port, typeof sent === 'string' ? Buffer.from(sent, 'latin1') : sent);
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect(answer.head).not.toMatch(/^x-evil/im);
  expect(answer.head.split('\r\n').every((line) => /^[\x20-\x7e]+$/.test(line))).toBe(true);
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d/);
  const good = await answerTo(api.server.port, path('/a/b'));
  expect([good.status, (JSON.parse(good.text) as { data: { total: number } }).data.total]).toEqual([200, 1]);
});

test('what is wrong with a body is told, and no more of it than can be read', async () => {
  const problemsOf = async (bytes: Buffer): Promise<string[]> =>
    (JSON.parse((await answerTo(api.server.port, bytes)).text) as { problems: string[] }).problems;
  const [path, ...others] = await problemsOf(put(subscribed('/e'.repeat(10_000))));
  expect(path).toMatch(/^subscriptions\[0\].path: .{1,300}more than the 16 elements allowed$/);
  expect(others).toEqual([]);
  const many = await problemsOf(importOf(...nothings));
  expect(many.length).toBeLessThanOrEqual(1_100);
  expect(many.at(-1)).toBe('so many problems that the rest was not looked at');
  expect(await problemsOf(put(documentOf({ profiles: Array(10_001).fill('p') })))).toContain(
    'profiles: has 10001 entries, more than the 10000 allowed',
  );
});

test.each<[string, Buffer]>([
  ['a name', put(documentOf({ name: 'x'.repeat(60_000) }))],
  ['a field', put(documentOf({ ['x'.repeat(60_000)]: 1 }))],
  [
    'an instance to move to',
    request('POST', '/api/v1/ownership/0:move', json, JSON.stringify({ to: 'x'.repeat(60_000) })),
  ],
  ['a name in a file', importOf(documentOf({ name: 'x'.repeat(30_000) }), documentOf({ name: 'x'.repeat(30_000) }))],
])('%s of 60 KB is not sent back', async (_what, bytes) => {
  const answer = await answerTo(api.server.port, bytes);
  expect([answer.code, answer.text.length < 2_000]).toEqual(['BODY_INVALID', true]);
});

test('a limit that a request exceeds is named with its value', async () => {
  const elements = await answerTo(api.server.port, get(`/api/v1/state?path=${'/e'.repeat(10_000)}`));
  expect(JSON.parse(elements.text)).toMatchObject({ maxPathElements: 16 });
  const url = await answerTo(api.server.port, path('/e'.repeat(10_000)));
  expect(JSON.parse(url.text)).toMatchObject({ maxUrlBytes });
});
