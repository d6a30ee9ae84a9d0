import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeCursor, encodeCursor } from '../../../schemas/cursor.ts';
import { type SlotOwnership } from '../../../schemas/ownership.ts';
import { slotOf } from '../../../schemas/slot.ts';
import { slotKey } from '../../../schemas/topics.ts';
import { answerQuestion, parseQuestion } from '../../../query-api/state-question.ts';
import { type Api, epoch, slots, startApi } from '../api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await startApi();
});
afterEach(() => api.server.stop());

interface LeafDocument {
  readonly device: string;
  readonly path: string;
  readonly value: unknown;
  readonly ageMs: number;
}
const leavesOf = (reply: { body: { data: Record<string, unknown> } }) => reply.body.data['leaves'] as LeafDocument[];

test('a leaf has value, type, time, age and position, exact beyond 2^53', async () => {
  await api.addDevice('leaf-1');
  api.addLeaf(
    'leaf-1',
    '/interfaces/interface[name=et-0/0/1]/in',
    { kind: 'uint', value: 2n ** 64n - 1n },
    1_795_246_383_702_000_001n,
  );
  const reply = await api.ask(
    `/api/v1/devices/leaf-1/state?path=${encodeURIComponent('/interfaces/interface[name=et-0/0/1]/in')}`,
  );
  expect(reply.status).toBe(200);
  const slot = slotOf('leaf-1', slots);
  expect(reply.text).toContain(
    '"origin":"openconfig","path":"/interfaces/interface[name=et-0/0/1]/in","value":"18446744073709551615","type":"uint","timestamp":"1795246383702000001","ageMs":',
  );
  expect(reply.text).toContain(`"position":"${slot}:${epoch}:2"`);
  expect(reply.body.data).toMatchObject({ total: 1, unsynced: ['leaf-1'], next: null });
  expect(decodeCursor(reply.body.data['cursor'] as string)).toEqual({
    positions: [{ slot, epoch, seq: 2n }],
    tag: api.state.logTag,
  });
  expect(reply.headers.get('holdfast-cursor')).toBe(reply.body.data['cursor']);
  expect(reply.headers.get('holdfast-served-by')).toBe('query-1');
  expect(reply.headers.get('holdfast-divert')).toBe('local');
  expect(Number(reply.headers.get('holdfast-age-ms'))).toBeLessThan(5_000);
  expect(reply.headers.get('holdfast-owner')).toBeNull();
  expect(reply.headers.get('etag')).toBeNull();
});

test('encoding native and typed print the same digits their way', async () => {
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/n', { kind: 'int', value: -9_007_199_254_740_993n });
  expect((await api.ask('/api/v1/devices/leaf-1/state?encoding=native')).text).toContain('"value":-9007199254740993,');
  expect((await api.ask('/api/v1/devices/leaf-1/state?encoding=typed')).text).toContain(
    '"value":{"intVal":"-9007199254740993"}',
  );
});

test('JSON of a device goes through verbatim', async () => {
  await api.addDevice('leaf-1');
  const blob = '{"a":12345678901234567890,"b":[1.0,{"__proto__":null}]}';
  api.addLeaf('leaf-1', '/blob', { kind: 'json_ietf', value: Buffer.from(blob) });
  expect((await api.ask('/api/v1/devices/leaf-1/state')).text).toContain(`"value":${blob},"type":"json_ietf"`);
});

test('the age of a leaf without a time is that since it was received, and never below 0', async () => {
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/none', { kind: 'bool', value: false }, 0n);
  api.addLeaf('leaf-1', '/ahead', { kind: 'bool', value: true }, api.clock.nowNs() + 3_600_000_000_000n);
  api.clock.push(2_000);
  const [ahead, none] = leavesOf(await api.ask('/api/v1/devices/leaf-1/state'));
  expect(ahead).toMatchObject({ path: '/ahead', ageMs: 0, value: true });
  expect(none!.ageMs).toBeGreaterThanOrEqual(2_000);
  expect(none!.ageMs).toBeLessThan(10_000);
});

test('wildcards and several paths across devices, each leaf once, in order (P7, P8)', async () => {
  for (const device of ['b', 'a']) {
    await api.addDevice(device, { labels: { site: device === 'a' ? 'fra' : 'ams' } });
    for (const name of ['x', 'y']) api.addLeaf(device, `/ifs/if[name=${name}]/oper`, { kind: 'string', value: name });
    api.addLeaf(device, '/cpu', { kind: 'uint', value: 1n });
    api.addLeaf(device, '/cli', { kind: 'ascii', value: 'x' }, 1n, 'native');
  }
  const paths = async (query: string) =>
    leavesOf(await api.ask(`/api/v1/state?${query}`)).map((leaf) => `${leaf.device} ${leaf.path}`);
  expect(await paths('path=/ifs/if/oper')).toEqual([
    'a /ifs/if[name=x]/oper',
    'a /ifs/if[name=y]/oper',
    'b /ifs/if[name=x]/oper',
    'b /ifs/if[name=y]/oper',
  ]);
  expect(await paths('path=/.../oper&path=/ifs/if%5Bname=x%5D&device=a')).toEqual([
    'a /ifs/if[name=x]/oper',
    'a /ifs/if[name=y]/oper',
  ]);
  expect(await paths('path=/*&label=site=ams')).toHaveLength(3);
  expect(await paths('label=site=fra&label=role=none')).toEqual([]);
  expect(await paths('path=native:/')).toEqual(['a /cli', 'b /cli']);
  expect(await paths('path=/absent')).toEqual([]);
});

test('pages hold limit leaves, next leads through all of them once, total counts all', async () => {
  for (const device of ['a', 'b', 'c']) {
    await api.addDevice(device);
    for (let n = 0; n < 7; n += 1) api.addLeaf(device, `/l[n=${n}]`, { kind: 'uint', value: BigInt(n) });
  }
  const seen: string[] = [];
  let next: string | null = '';
  for (let pages = 0; next !== null && pages < 20; pages += 1) {
    const reply = await api.ask(`/api/v1/state?limit=4${next === '' ? '' : `&next=${next}`}`);
    expect(reply.body.data['total']).toBe(21);
    seen.push(...leavesOf(reply).map((leaf) => `${leaf.device}${leaf.path}`));
    next = reply.body.data['next'] as string | null;
  }
  expect(seen).toHaveLength(21);
  expect(new Set(seen).size).toBe(21);
  expect(seen).toEqual([...seen].sort());
});

test('unsynced names devices without a synced session, also when their owner is gone', async () => {
  for (const device of ['a', 'b', 'c']) await api.addDevice(device);
  api.setStatus('a', 'synced');
  api.setStatus('b', 'waiting');
  expect((await api.ask('/api/v1/state')).body.data['unsynced']).toEqual(['b', 'c']);
  api.tables.sightings.changed('ingest-1', true);
  api.clock.push(6_000);
  api.tables.sightings.changed('query-1', true);
  expect((await api.ask('/api/v1/state')).body.data['unsynced']).toEqual(['a', 'b', 'c']);
});

test('what an owner said of its sessions ends with its epoch', async () => {
  await api.addDevice('a');
  api.setStatus('a', 'synced');
  const slot = slotOf('a', slots);
  const own = (of: bigint): void => {
    const since = { lastSeq: 0n, sinceNs: 0n, reason: 'crash', fromEpoch: 0n, fromSeq: 0n };
    const held: SlotOwnership = { slot, state: 'held', epoch: of, ...since };
    api.tables.ownership.set(slotKey(slot), { kind: 'slot', slot: held });
  };
  own(epoch);
  expect((await api.ask('/api/v1/state')).body.data['unsynced']).toEqual([]);
  own(epoch + 1n);
  expect((await api.ask('/api/v1/state')).body.data['unsynced']).toEqual(['a']);
});

test('an unknown and a deleted device are 404 with the reason, whatever state still has of them', async () => {
  expect((await api.ask('/api/v1/devices/nobody/state')).body).toMatchObject({
    code: 'DEVICE_UNKNOWN',
    reason: 'unknown',
  });
  await api.addDevice('gone');
  api.addLeaf('gone', '/a', { kind: 'bool', value: true });
  expect((await api.ask('/api/v1/devices/gone', { method: 'DELETE' })).status).toBe(204);
  const reply = await api.ask('/api/v1/devices/gone/state');
  expect([reply.status, reply.body['code'], reply.body['reason']]).toEqual([404, 'DEVICE_UNKNOWN', 'deleted']);
  expect(leavesOf(await api.ask('/api/v1/state'))).toEqual([]);
  expect((await api.ask('/api/v1/state?device=gone')).status).toBe(404);
});

test('maxStalenessMs is kept: beyond it 503 with Retry-After', async () => {
  await api.addDevice('a');
  const slot = slotOf('a', slots);
  api.state.mark(slot, 5n, 700);
  expect((await api.ask('/api/v1/devices/a/state?maxStalenessMs=5000')).status).toBe(200);
  const stale = await api.ask('/api/v1/devices/a/state?maxStalenessMs=600');
  expect([stale.status, stale.body['code'], stale.headers.get('retry-after')]).toEqual([503, 'TOO_STALE', '1']);
  api.clock.push(60_000);
  const old = await api.ask('/api/v1/devices/a/state');
  expect(old.status).toBe(200);
  expect(Number(old.headers.get('holdfast-age-ms'))).toBeGreaterThanOrEqual(60_700);
});

test('atLeast waits for the cursor, and answers 503 after maxWaitMs', async () => {
  await api.addDevice('a');
  const slot = slotOf('a', slots);
  const cursor = encodeCursor([
    { slot, epoch, seq: 9n },
    { slot: (slot + 1) % slots, epoch, seq: 99n },
  ]);
  const late = await api.ask(`/api/v1/devices/a/state?atLeast=${cursor}&maxWaitMs=30`);
  expect([late.status, late.body['code']]).toEqual([503, 'TOO_STALE']);
  const waiting = api.ask(`/api/v1/devices/a/state?atLeast=${cursor}.${api.state.logTag}&maxWaitMs=3000`);
  await api.clock.sleep(30);
  api.state.mark(slot, 9n);
  expect((await waiting).status).toBe(200);
});

test('a slot that is not read yet answers 503, the others answer', async () => {
  await api.addDevice('a');
  api.state.reset(slotOf('a', slots));
  const reply = await api.ask('/api/v1/devices/a/state');
  expect([reply.status, reply.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
  expect((await api.ask('/readyz')).status).toBe(503);
});

test.each([
  ['path=', 'PARAMETER_INVALID'],
  ['path=/a%5B', 'PATH_MALFORMED'],
  [`path=${'/a'.repeat(17)}`, 'PATH_MALFORMED'],
  ['encoding=xml', 'PARAMETER_INVALID'],
  ['limit=0', 'PARAMETER_INVALID'],
  ['limit=1001', 'PARAMETER_INVALID'],
  ['next=x', 'PARAMETER_INVALID'],
  ['atLeast=2.x', 'CURSOR_MALFORMED'],
  [`atLeast=${encodeCursor([{ slot: 900, epoch, seq: 1n }])}`, 'CURSOR_MALFORMED'],
  [`atLeast=${encodeCursor([], 'BBBBBA')}`, 'CURSOR_MALFORMED'],
  ['maxWaitMs=999999', 'PARAMETER_INVALID'],
  ['maxStalenessMs=-1', 'PARAMETER_INVALID'],
  ['pth=/a', 'PARAMETER_INVALID'],
])('?%s is 400 %s', async (query, code) => {
  const reply = await api.ask(`/api/v1/state?${query}`);
  expect([reply.status, reply.body['code']]).toEqual([400, code]);
});

test('a page ends when it is big enough, and the next goes on behind it', async () => {
  await api.addDevice('a');
  for (let n = 0; n < 5; n += 1) api.addLeaf('a', `/l${n}`, { kind: 'string', value: 'x'.repeat(1_000) });
  const question = parseQuestion(new Map(), { maxLeaves: 100, maxPathElements: 16 });
  const source = { store: api.state.store, slots, clock: api.clock, pageCharsMax: 2_000 };
  const first = await answerQuestion(question, ['a'], source, AbortSignal.timeout(1_000));
  expect([first.leaves.length, first.total]).toEqual([2, 5]);
  const after = parseQuestion(new Map([['next', [first.next ?? '']]]), { maxLeaves: 100, maxPathElements: 16 });
  const second = await answerQuestion(after, ['a'], source, AbortSignal.timeout(1_000));
  expect(second.leaves.map((text) => (JSON.parse(text) as { path: string }).path)).toEqual(['/l2', '/l3']);
});

describe('an answer that takes several turns', () => {
  /** Every look into the store takes `lookMs`; `meanwhile` comes in the turn after the first. */
  const slowly = (lookMs: number, meanwhile: () => void = () => undefined): void => {
    const { store } = api.state;
    const select = store.select.bind(store);
    let looks = 0;
    store.select = (patterns) => {
      if (looks++ === 0) setImmediate(meanwhile);
      api.clock.push(lookMs);
      return select(patterns);
    };
  };
  beforeEach(async () => {
    for (const device of ['a', 'b', 'c', 'd']) {
      await api.addDevice(device);
      api.addLeaf(device, '/l', { kind: 'bool', value: true });
    }
  });

  test('is refused when a slot was forgotten in between, for leaves may be missing', async () => {
    slowly(10, () => api.state.reset(slotOf('d', slots)));
    const reply = await api.ask('/api/v1/state');
    expect([reply.status, reply.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
  });

  test('is refused also when the slot has been read anew by then', async () => {
    slowly(10, () => {
      api.state.reset(slotOf('d', slots));
      api.state.load();
    });
    expect((await api.ask('/api/v1/state')).status).toBe(503);
  });

  test('control: if nobody counted how often a slot is forgotten, half of a set would pass for whole', async () => {
    slowly(10, () => {
      api.state.reset(slotOf('d', slots));
      api.state.load();
    });
    api.state.resets = () => 0;
    const reply = await api.ask('/api/v1/state');
    expect(reply.status).toBe(200);
    expect(leavesOf(reply).length).toBeLessThan(4);
  });

  test('is whole and counts the turns into its age, and is refused beyond maxStalenessMs', async () => {
    slowly(2_000);
    const whole = await api.ask('/api/v1/state');
    expect([whole.status, leavesOf(whole).length]).toEqual([200, 4]);
    expect(Number(whole.headers.get('holdfast-age-ms'))).toBeGreaterThanOrEqual(8_000);
    for (let slot = 0; slot < slots; slot += 1) api.state.mark(slot, 50n);
    const stale = await api.ask('/api/v1/state?maxStalenessMs=6000');
    expect([stale.status, stale.body['code']]).toEqual([503, 'TOO_STALE']);
  });
});
