/** Every limit on a request is a setting: what it allows is answered, one more has its code, and the answer names it. */
import { afterEach, expect, test } from '@jest/globals';
import { encodeCursor } from '../../schemas/cursor.ts';
import { type Api, type ApiOverrides, epoch, startApi } from './api-fixture.ts';
import { answerTo, request } from './raw-client.ts';

let api: Api;
afterEach(() => api.server.stop());

const state = (query: string): Buffer => request('GET', `/api/v1/state?${query}`);
const stream = (query: string): Buffer => request('GET', `/api/v1/state/stream?${query}`);
const device = (more: object): string =>
  JSON.stringify({ addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }], ...more });
const put = (body: string): Buffer => request('PUT', '/api/v1/devices/b', 'Content-Type: application/json\r\n', body);
const padded = (bytes: number): Buffer => put(device({}).padEnd(bytes));
const ahead = encodeCursor([{ slot: 0, epoch: epoch + 1n, seq: 1n }]);

interface Limit {
  readonly setting: ApiOverrides;
  readonly within: () => Buffer;
  readonly allowed: number;
  readonly beyond: () => Buffer;
  readonly refused: readonly [status: number, code: string];
  /** In the detail, or as a fact. */
  readonly named: RegExp;
}

const limits: readonly Limit[] = [
  {
    setting: { maxPathElements: 3 },
    within: () => state('path=/a/b/c'),
    allowed: 200,
    beyond: () => state('path=/a/b/c/d'),
    refused: [400, 'PATH_MALFORMED'],
    named: /"maxPathElements":3/,
  },
  {
    setting: { maxPathElements: 3 },
    within: () => state('path=/*/*/...'),
    allowed: 200,
    beyond: () => stream('path=/*/*/*/...'),
    refused: [400, 'PATH_MALFORMED'],
    named: /"maxPathElements":3/,
  },
  {
    setting: { maxPathElements: 3 },
    within: () => put(device({ subscriptions: [{ path: '/a/b/c' }] })),
    allowed: 201,
    beyond: () => put(device({ subscriptions: [{ path: '/a/b/c/d' }] })),
    refused: [400, 'BODY_INVALID'],
    named: /subscriptions\[0\]\.path: .*more than the 3 elements allowed/,
  },
  {
    setting: { maxUrlBytes: 1_024 },
    within: () => state(`path=/${'a'.repeat(1_000)}`),
    allowed: 200,
    beyond: () => state(`path=/${'a'.repeat(1_010)}`),
    refused: [400, 'PARAMETER_INVALID'],
    named: /"maxUrlBytes":1024/,
  },
  {
    setting: { maxBodyBytes: 1_024 },
    within: () => padded(1_024),
    allowed: 201,
    beyond: () => padded(1_025),
    refused: [413, 'BODY_TOO_LARGE'],
    named: /"maxBodyBytes":1024/,
  },
  {
    setting: { maxPaths: 2 },
    within: () => state('path=/a&path=/b'),
    allowed: 200,
    beyond: () => state('path=/a&path=/b&path=/c'),
    refused: [400, 'PARAMETER_INVALID'],
    named: /at most 2 times/,
  },
  {
    setting: { maxLeaves: 7 },
    within: () => state('limit=7'),
    allowed: 200,
    beyond: () => state('limit=8'),
    refused: [400, 'PARAMETER_INVALID'],
    named: /from 1 to 7/,
  },
  {
    setting: { maxWaitMs: 5 },
    within: () => state(`atLeast=${ahead}&maxWaitMs=5`),
    allowed: 503,
    beyond: () => state(`atLeast=${ahead}&maxWaitMs=6`),
    refused: [400, 'PARAMETER_INVALID'],
    named: /from 0 to 5/,
  },
  {
    setting: { streams: { maxStreams: 0 } },
    within: () => state('path=/a'),
    allowed: 200,
    beyond: () => stream('path=/a'),
    refused: [429, 'LIMIT_EXCEEDED'],
    named: /"maxStreams":0/,
  },
];

test.each(limits.map((limit) => [JSON.stringify(limit.setting), limit] as const))('%s', async (_setting, limit) => {
  api = await startApi(limit.setting);
  expect((await answerTo(api.server.port, limit.within())).status).toBe(limit.allowed);
  const answer = await answerTo(api.server.port, limit.beyond());
  expect([answer.status, answer.code]).toEqual(limit.refused);
  expect(answer.text).toMatch(limit.named);
});

test('a document of very many fields or labels is a document that is wrong, however many they are', async () => {
  api = await startApi({ maxBodyBytes: 16_777_216 });
  const many = (prefix: string, count: number): string =>
    Array.from({ length: count }, (_, n) => `"${prefix}${n}":"1"`).join(',');
  for (const body of [`{${many('field', 200_000)}}`, device({ labels: {} }).replace('{}', `{${many('l', 20_000)}}`)]) {
    const answer = await answerTo(api.server.port, put(body));
    expect([answer.status, answer.code]).toEqual([400, 'BODY_INVALID']);
  }
}, 20_000);
