/** Real servers on the loopback, real HTTP between them; no Kafka. */
import { afterEach, expect, test } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { type SlotFreshness } from '../../query-api/slot-freshness.ts';
import { encodeCursor } from '../../schemas/cursor.ts';
import { slotOf } from '../../schemas/slot.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { epoch, slots } from './api-fixture.ts';
import { type BadPeer, httpPeer, problemReply, rawPeer, stateReply } from './bad-peer.ts';
import { bad, countingLender, outcomesOf, path, report, startEntry, startHolder, stopAll } from './divert-fixture.ts';

afterEach(stopAll);

test('a request for a slot that is not held here is answered by the instance that holds it, and says so', async () => {
  const holder = await startHolder('query-2');
  const entry = await startEntry([['query-2', holder.server.address]]);
  const direct = await holder.ask(`${path}?path=/a`);
  const reply = await entry.ask(`${path}?path=/a`);
  expect(reply.status).toBe(200);
  expect(reply.body.data).toMatchObject({ leaves: [{ device: 'leaf-1', path: '/a', value: '1' }] });
  expect(
    Object.fromEntries(['content-type', 'holdfast-cursor'].map((name) => [name, reply.headers.get(name)])),
  ).toEqual({
    'content-type': direct.headers.get('content-type'),
    'holdfast-cursor': direct.headers.get('holdfast-cursor'),
  });
  expect(reply.headers.get('holdfast-served-by')).toBe('query-2');
  expect(reply.headers.get('holdfast-divert')).toBe('forwarded: absent');
  expect(Number(reply.headers.get('holdfast-age-ms'))).toBeGreaterThanOrEqual(0);
  expect(await outcomesOf(entry)).toEqual(['absent answered 1']);
});

test.each<[string, SlotFreshness]>([
  ['loading', { kind: 'incomplete', reason: 'still being read' }],
  ['stale', { kind: 'known', stalenessMs: 90_000 }],
])('one that is %s asks another', async (reason, freshness) => {
  const holder = await startHolder('query-2');
  const entry = await startEntry([['query-2', holder.server.address]], { freshness: () => freshness });
  const reply = await entry.ask(`${path}?maxStalenessMs=60000`);
  expect([reply.status, reply.headers.get('holdfast-divert')]).toEqual([200, `forwarded: ${reason}`]);
});

test('DV1: a forwarded request is answered here or refused, not forwarded again', async () => {
  const holder = await startHolder('query-2');
  const entry = await startEntry([['query-2', holder.server.address]]);
  const reply = await entry.ask(path, { headers: { 'Holdfast-Forwarded-By': 'query-3' } });
  expect([reply.status, reply.body['code'], reply.body['reason']]).toEqual([503, 'NOT_CAUGHT_UP', 'absent']);
  expect(reply.headers.get('retry-after')).toBe('1');
});

test('DV1: two instances that each take the other for the holder refuse at once', async () => {
  const second = await startEntry([]);
  const first = await startEntry([['query-1', second.server.address]]);
  const reply = await first.ask(path);
  expect([reply.status, reply.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
});

const refusedPort = async (): Promise<BadPeer> => ({
  http: `127.0.0.1:${await freePort()}`,
  asked: () => 0,
  stop: () => Promise.resolve(),
});
const adversaries: [string, () => Promise<BadPeer>, string][] = [
  ['refuses the connection', refusedPort, 'failed'],
  ['resets the connection', () => rawPeer((socket) => socket.resetAndDestroy()), 'failed'],
  ['accepts and never answers', () => rawPeer(() => undefined), 'stalled'],
  ['answers 503', () => httpPeer((_, response) => problemReply(response, 503, 'TOO_STALE')), 'refused'],
  [
    'does not know the device yet',
    () => httpPeer((_, response) => problemReply(response, 404, 'DEVICE_UNKNOWN')),
    'refused',
  ],
  ['answers 500', () => httpPeer((_, response) => problemReply(response, 500, 'INTERNAL')), 'failed'],
  ['speaks no HTTP', () => rawPeer((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')), 'failed'],
  [
    'sends us elsewhere',
    () => httpPeer((_, response) => response.writeHead(302, { Location: 'http://h/' }).end()),
    'failed',
  ],
  ['answers another page', () => httpPeer((_, response) => response.end('<html></html>')), 'failed'],
  ['is another instance (PC1)', () => httpPeer((_, response) => stateReply(response, 'query-9')), 'failed'],
  [
    'is another instance that refuses (PC1)',
    () => httpPeer((_, response) => problemReply(response, 400, 'PARAMETER_INVALID', 'query-9')),
    'failed',
  ],
  [
    'states no age',
    () => httpPeer((_, response) => stateReply(response, 'bad', { 'Holdfast-Age-Ms': 'young' })),
    'failed',
  ],
  ['answers cut-off JSON', () => httpPeer((_, response) => stateReply(response, 'bad', {}, '{"status":')), 'failed'],
  [
    'ends in the middle of its body',
    () =>
      httpPeer((request, response) => {
        stateReply(response, 'bad', { 'Content-Length': '9000' });
        setTimeout(() => request.socket.destroy(), 20);
      }),
    'failed',
  ],
  [
    'stops in the middle of its body',
    () => httpPeer((_, response) => stateReply(response, 'bad', { 'Content-Length': '9000' })),
    'stalled',
  ],
];

test.each(adversaries)(
  'a peer that %s costs the client nothing: the next one answers',
  async (_name, start, outcome) => {
    const peer = await bad(start());
    const holder = await startHolder('query-2');
    const entry = await startEntry([
      ['bad', peer.http],
      ['query-2', holder.server.address],
    ]);
    const startedMs = performance.now();
    const reply = await entry.ask(path);
    expect([reply.status, reply.headers.get('holdfast-served-by')]).toEqual([200, 'query-2']);
    expect(performance.now() - startedMs).toBeLessThan(900); // below the second at which a request is given up
    expect(entry.attempts.toSorted()).toEqual(['answered', outcome].toSorted());
    expect(entry.experience.isSuspect('bad')).toBe(outcome !== 'refused');
    expect(await outcomesOf(entry)).toEqual(['absent retried 1']);
  },
);

test.each(adversaries)('alone, a peer that %s makes a 503 with the reason', async (_name, start) => {
  const peer = await bad(start());
  const entry = await startEntry([['bad', peer.http]]);
  const reply = await entry.ask(path);
  expect([reply.status, reply.headers.get('retry-after'), reply.body['reason']]).toEqual([503, '1', 'absent']);
  expect(['TOO_STALE', 'NOT_CAUGHT_UP']).toContain(reply.body['code']);
  expect(reply.body['detail']).toContain('bad: ');
});

test('what a peer refuses for good reaches the client as it is, with the name of the peer', async () => {
  const peer = await bad(httpPeer((_, response) => problemReply(response, 429, 'LIMIT_EXCEEDED')));
  const entry = await startEntry([['bad', peer.http]]);
  const reply = await entry.ask(path);
  expect([reply.status, reply.body['detail']]).toEqual([429, 'it says LIMIT_EXCEEDED']);
  const said = ['holdfast-served-by', 'holdfast-divert', 'retry-after'].map((name) => reply.headers.get(name));
  expect(said).toEqual(['bad', 'forwarded: absent', '7']);
});

test('the control: without hedging a silent peer costs the client the whole wait', async () => {
  const silent = await bad(rawPeer(() => undefined));
  const holder = await startHolder('query-2');
  const peers = [
    ['silent', silent.http],
    ['query-2', holder.server.address],
  ] as const;
  const entry = await startEntry(peers, { hedging: false });
  expect((await entry.ask(path)).status).toBe(503);
});

test('a silent peer is asked last from then on', async () => {
  const silent = await bad(rawPeer(() => undefined));
  const holder = await startHolder('query-2');
  const entry = await startEntry([
    ['silent', silent.http],
    ['query-2', holder.server.address],
  ]);
  for (let n = 0; n < 5; n += 1) expect((await entry.ask(path)).status).toBe(200);
  expect(silent.asked()).toBe(1);
});

test('DV2: an answer that was old when it came is not given where it is older than asked for', async () => {
  const late = await bad(
    httpPeer((_, response) => void setTimeout(() => stateReply(response, 'late', { 'Holdfast-Age-Ms': '30' }), 120)),
  );
  const entry = await startEntry([['late', late.http]]);
  const bounded = await entry.ask(`${path}?maxStalenessMs=100`);
  expect([bounded.status, bounded.body['code']]).toEqual([503, 'TOO_STALE']);
  const unbounded = await entry.ask(path);
  expect(unbounded.status).toBe(200);
  expect(Number(unbounded.headers.get('holdfast-age-ms'))).toBeGreaterThanOrEqual(130);
});

test('DV3: when the others fail, the instance that was asked answers if it may by now', async () => {
  const silent = await bad(rawPeer(() => undefined));
  let stalenessMs = 900;
  const entry = await startEntry([['silent', silent.http]], { freshness: () => ({ kind: 'known', stalenessMs }) });
  setTimeout(() => (stalenessMs = 20), 100);
  const reply = await entry.ask(`${path}?maxStalenessMs=500`);
  expect([reply.status, reply.headers.get('holdfast-divert')]).toEqual([200, 'local']);
  expect(await outcomesOf(entry)).toEqual(['stale local 1']);
});

test('a connection that the peer closed while it was idle is made anew, and the peer is not blamed', async () => {
  const sockets: { destroy(): void }[] = [];
  const peer = await bad(
    httpPeer((request, response) => {
      sockets.push(request.socket);
      stateReply(response, 'peer');
    }),
  );
  const entry = await startEntry([['peer', peer.http]]);
  expect((await entry.ask(path)).status).toBe(200);
  sockets[0]!.destroy();
  expect((await entry.ask(path)).status).toBe(200);
  expect(entry.attempts).toEqual(['answered', 'answered']);
});

test('`Prefer: redirect` sends the client to the instance, with the same path and query', async () => {
  const holder = await startHolder('query-2');
  const entry = await startEntry([['query-2', holder.server.address]]);
  const asked = `${path}?path=${encodeURIComponent('/a[k=%0d%0aX: 1]')}`;
  const reply = await entry.ask(asked, { headers: { Prefer: 'respond-async, Redirect' }, redirect: 'manual' });
  expect([reply.status, reply.headers.get('location')]).toEqual([307, `http://${holder.server.address}${asked}`]);
  expect(reply.headers.get('holdfast-divert')).toBe('redirected: absent');
  const followed = await entry.ask(`${path}?path=/a`, { headers: { Prefer: 'redirect' } });
  expect([followed.status, followed.headers.get('holdfast-divert')]).toEqual([200, 'local']);
});

test('DV4: nothing of a request but its path and query gets into `Location`, and no line of its own', async () => {
  const holder = await startHolder('query-2');
  const entry = await startEntry([['query-2', holder.server.address]]);
  const { hostname, port } = new URL(`http://${entry.server.address}`);
  for (const target of [`http://elsewhere.example${path}`, `//elsewhere.example${path}`, `${path}?path=/a\u00e4`]) {
    const location = await new Promise((resolve, reject) => {
      const asked = httpRequest(
        { hostname, port, path: encodeURI(target), headers: { Prefer: 'redirect' } },
        (response) => {
          response.resume();
          resolve(response.headers.location);
        },
      );
      asked.on('error', reject).end();
    });
    if (typeof location === 'string') expect(new URL(location).host).toBe(holder.server.address);
  }
});

test('when the client goes, the question to the peer ends', async () => {
  let closed = false;
  const silent = await bad(
    httpPeer((request) => {
      request.socket.on('close', () => (closed = true));
    }),
  );
  const entry = await startEntry([['silent', silent.http]]);
  const gone = new AbortController();
  const asking = entry.ask(path, { signal: gone.signal }).catch(() => 'gone');
  await eventually('asked', 2_000, () => silent.asked() === 1);
  gone.abort();
  expect(await asking).toBe('gone');
  await eventually('the socket to the peer is closed', 500, () => closed);
  expect(entry.attempts).toEqual(['abandoned']);
  expect(entry.experience.isSuspect('silent')).toBe(false);
});

test('read your writes: who is behind the cursor asks one that reported it, else waits', async () => {
  const holder = await startHolder('query-2');
  const slot = slotOf('leaf-1', slots);
  const cursor = encodeCursor([{ slot, epoch, seq: 7n }]);
  holder.state.mark(slot, 7n);
  const fresh = (): SlotFreshness => ({ kind: 'known', stalenessMs: 1 });
  const more = { report: () => ({ ...report, seq: 7n }) };
  const entry = await startEntry([['query-2', holder.server.address]], { freshness: fresh, more });
  const forwarded = await entry.ask(`${path}?atLeast=${cursor}`);
  expect([forwarded.status, forwarded.headers.get('holdfast-divert')]).toEqual([200, 'forwarded: behind']);

  const waiting = await startEntry([['query-2', holder.server.address]], { freshness: fresh });
  setTimeout(() => waiting.state.mark(slot, 7n), 50);
  const local = await waiting.ask(`${path}?atLeast=${cursor}`);
  expect([local.status, local.headers.get('holdfast-divert')]).toEqual([200, 'local']);
});

test('slots that nobody offers are borrowed for one answer, and given back', async () => {
  const { lender, freshness, counted } = countingLender();
  const entry = await startEntry([], { lender, freshness });
  const reply = await entry.ask('/api/v1/state');
  expect([reply.status, reply.headers.get('holdfast-divert'), counted.released]).toEqual([200, 'local', 1]);
  expect(await outcomesOf(entry)).toEqual(['absent borrowed 1']);
});

test('whoever asks while a borrowed slot is still being read waits for it as the first one does', async () => {
  let freshness: SlotFreshness = { kind: 'absent' };
  let load = (): void => undefined;
  const loaded = new Promise<void>((resolve) => (load = resolve));
  let asked = 0;
  let released = 0;
  const lender = {
    borrow: async () => {
      asked += 1;
      freshness = { kind: 'incomplete', reason: 'still being read' };
      if (asked === 3) load(); // not before all of them wait
      await loaded;
      freshness = { kind: 'known', stalenessMs: 1 };
      return () => void (released += 1);
    },
  };
  const entry = await startEntry([], { lender, freshness: () => freshness });
  const replies = await Promise.all([entry.ask(path), entry.ask(path), entry.ask(path)]);
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect([asked, released]).toEqual([3, 3]);
  expect(await outcomesOf(entry)).toEqual(['absent borrowed 1', 'loading borrowed 2']);
});

test('a loan that does not come in time is a 503', async () => {
  const borrow = (_slots: readonly number[], signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  const entry = await startEntry([], { lender: { borrow } });
  const reply = await entry.ask('/api/v1/state?maxWaitMs=0');
  expect([reply.status, reply.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
});
