import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { decodeFrame } from '../../schemas/frame.ts';
import { type Instance } from '../../schemas/instance.ts';
import { placementCodec } from '../../schemas/ownership.ts';
import { type Api, epoch, startApi } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await startApi();
  seeInstance('ingest-1', 'ingest');
  seeInstance('ingest-2', 'ingest');
  seeInstance('replicator-1', 'replicator');
  seeInstance('query-1', 'query-api');
});
afterEach(() => api.server.stop());

function seeInstance(instance: string, role: string, more: Partial<Instance> = {}): void {
  const record: Instance = {
    ...{ instance, role, incarnation: 'i1', http: '', gnmi: '', zone: '', version: '0.1.0', startedAtNs: 1n },
    ...{ draining: false, load: 0, slots: [], ...more },
  };
  api.tables.instances.set(instance, record);
  api.tables.sightings.changed(instance, true);
}

function hold(key: string, slot: number, instance: string, incarnation = 'i1'): void {
  const holder = { instance, incarnation, memberId: 'm', peer: '', zone: '' };
  const more = { epoch, lastSeq: 0n, sinceNs: 0n, reason: 'start', fromEpoch: 0n, fromSeq: 0n };
  api.tables.ownership.set(key, { kind: 'slot', slot: { slot, holder, state: 'held', ...more } });
}

function planTo(owner: string): void {
  const member = { instance: owner, incarnation: 'i1', memberId: 'm', peer: '', zone: '' };
  const slot = { owner: 1, standby: 0, prev: 0, prevEpoch: 0n, reason: 1 };
  const plan = { version: 1n, generation: 1, members: [member], slots: [slot, slot, slot, slot], leader: 1 };
  api.tables.ownership.set('plan', { kind: 'plan', plan });
}

const user = { 'holdfast-user': 'mia' };
const post = (path: string, headers: Record<string, string> = {}) =>
  api.ask(path, { method: 'POST', headers: { ...user, ...headers } });
const move = (slot: number | string, body: unknown) => api.send('POST', `/api/v1/ownership/${slot}:move`, body, user);
/** The wishes that were written, decoded; null: withdrawn. */
const written = () =>
  api.tables.ownership.sent.map(({ topic, partition, key, value }) => ({
    at: `${topic}/${partition}`,
    key,
    wish: value === null ? null : placementCodec.decode(decodeFrame(value).message),
  }));
const draining = async (): Promise<string[]> => {
  const list = (await api.ask('/api/v1/instances')).body.data['instances'] as { instance: string; draining: boolean }[];
  return list.filter((one) => one.draining).map((one) => one.instance);
};

test('WI1: a drain means this run of the instance, says who and when, and shows in the list of instances', async () => {
  const reply = await post('/api/v1/instances/ingest-1:drain');
  expect([reply.status, reply.body['warnings']]).toEqual([202, undefined]);
  expect(reply.body.data).toEqual({
    ...{ instance: 'ingest-1', group: 'ingest', drain: true, incarnation: 'i1', changedBy: 'mia' },
    changedAt: expect.stringMatching(/^20\d\d-.*Z$/),
  });
  expect(written()).toEqual([
    {
      ...{ at: 'ownership/0', key: 'drain/ingest-1' },
      wish: {
        ...{ instance: 'ingest-1', drain: true, incarnation: 'i1', changedBy: 'mia' },
        changedAtNs: expect.any(BigInt),
      },
    },
  ]);
  expect(await draining()).toEqual(['ingest-1']);
  seeInstance('ingest-1', 'ingest', { incarnation: 'i2' });
  expect(await draining()).toEqual([]); // its next run is not meant
});

test('WI2: a drain repeated writes nothing, one of the next run does', async () => {
  await post('/api/v1/instances/ingest-1:drain');
  const again = await post('/api/v1/instances/ingest-1:drain', { 'holdfast-user': 'tom' });
  expect([again.status, again.body.data['changedBy']]).toEqual([202, 'mia']);
  expect(written()).toHaveLength(1);
  seeInstance('ingest-1', 'ingest', { incarnation: 'i2' });
  expect((await post('/api/v1/instances/ingest-1:drain')).body.data['incarnation']).toBe('i2');
  expect(written()).toHaveLength(2);
});

test('a drain that leaves nobody to take the slots is warned of', async () => {
  expect((await post('/api/v1/instances/replicator-1:drain')).body['warnings']).toEqual([
    'there is no other replicator that is not draining: nobody can take the slots of replicator-1',
  ]);
  await post('/api/v1/instances/ingest-1:drain');
  expect((await post('/api/v1/instances/ingest-2:drain')).body['warnings']).toHaveLength(1);
});

test('resume withdraws the drain, and its tombstone makes it vanish', async () => {
  await post('/api/v1/instances/ingest-1:drain');
  const reply = await post('/api/v1/instances/ingest-1:resume');
  expect([reply.status, reply.body.data]).toEqual([202, { instance: 'ingest-1', drain: false, withdrawn: true }]);
  expect(written().at(-1)).toEqual({ at: 'ownership/0', key: 'drain/ingest-1', wish: null });
  expect(await draining()).toEqual([]);
  expect((await post('/api/v1/instances/ingest-1:resume')).body.data['withdrawn']).toBe(false); // WI2
  expect(written()).toHaveLength(2);
});

test('WI4: who is gone is not drained, but its drain can be withdrawn', async () => {
  await post('/api/v1/instances/ingest-2:drain');
  api.clock.push(12_000);
  for (const [id, role] of [['ingest-1', 'ingest'] as const, ['query-1', 'query-api'] as const]) seeInstance(id, role);
  const gone = await post('/api/v1/instances/ingest-2:drain');
  expect([gone.status, gone.body['code']]).toEqual([404, 'INSTANCE_UNKNOWN']);
  expect(gone.body['detail']).toBe(
    'instance ingest-2 is gone: it was last seen 12 s ago; those that hold slots: ingest-1',
  );
  expect((await post('/api/v1/instances/ingest-2:resume')).body.data['withdrawn']).toBe(true);
  expect((await post('/api/v1/instances/ingest-2:resume')).status).toBe(404);
});

test('an unknown instance is a 404 with those that are known, one without slots a 400', async () => {
  const unknown = await post('/api/v1/instances/ingest-9:drain');
  expect([unknown.status, unknown.body['code'], unknown.body['known']]).toEqual([
    404,
    'INSTANCE_UNKNOWN',
    ['ingest-1', 'ingest-2', 'replicator-1'],
  ]);
  expect(unknown.body['detail']).toContain('there is no instance ingest-9');
  expect((await move(1, { to: 'ingest-9' })).body['code']).toBe('INSTANCE_UNKNOWN');
  for (const reply of [await post('/api/v1/instances/query-1:drain'), await move(1, { to: 'query-1' })]) {
    expect([reply.status, reply.body['code']]).toEqual([400, 'PARAMETER_INVALID']);
    expect(reply.body['detail']).toContain('query-1 is a query-api, which holds no slots');
  }
  expect(written()).toEqual([]);
});

test('while nothing comes from Kafka nobody is called unknown', async () => {
  api.clock.push(6_000);
  const reply = await post('/api/v1/instances/ingest-1:drain');
  expect([reply.status, reply.body['code']]).toEqual([503, 'KAFKA_UNAVAILABLE']);
});

test('a move is a wish until the leader takes it away, and shows at the slot of its group', async () => {
  hold('slot/2', 2, 'ingest-1');
  const reply = await move(2, { to: 'ingest-2' });
  expect(reply.status).toBe(202);
  expect(reply.body.data).toEqual({
    ...{ slot: 2, group: 'ingest', to: 'ingest-2', owner: 'ingest-1', pending: true, changedBy: 'mia' },
    changedAt: expect.any(String),
  });
  expect(written()).toMatchObject([
    { key: 'place/2', wish: { instance: 'ingest-2', drain: false, incarnation: '', changedBy: 'mia' } },
  ]);
  const wishes = async (group: string): Promise<unknown[]> => {
    const { slots } = (await api.ask(`/api/v1/ownership?group=${group}`)).body.data as { slots: { wish: unknown }[] };
    return slots.map((slot) => slot.wish);
  };
  expect(await wishes('ingest')).toEqual([null, null, 'ingest-2', null]);
  expect(await wishes('replicator')).toEqual([null, null, null, null]);
  expect((await move(2, { to: 'ingest-2' })).body.data).toMatchObject({ pending: true, changedBy: 'mia' });
  expect(written()).toHaveLength(1); // WI2
  api.tables.ownership.set('place/2', undefined);
  expect(await wishes('ingest')).toEqual([null, null, null, null]);
});

test('WI2: a slot that is there already is moved without a record, unless the plan or a wish takes it away', async () => {
  hold('slot/1', 1, 'ingest-1');
  planTo('ingest-1');
  const there = await move(1, { to: 'ingest-1' });
  expect([there.status, there.body.data]).toEqual([
    202,
    {
      ...{ slot: 1, group: 'ingest', to: 'ingest-1', owner: 'ingest-1' },
      ...{ pending: false, changedBy: null, changedAt: null },
    },
  ]);
  expect(written()).toEqual([]);
  planTo('ingest-2');
  expect((await move(1, { to: 'ingest-1' })).body.data['pending']).toBe(true);
  planTo('ingest-1');
  expect((await move(1, { to: 'ingest-2' })).body['warnings']).toEqual([
    'the wish to move slot 1 to ingest-1 is replaced',
  ]);
  expect((await move(1, { to: 'ingest-1' })).body.data['pending']).toBe(true);
  expect(written().map(({ wish }) => wish?.instance)).toEqual(['ingest-1', 'ingest-2', 'ingest-1']);
});

test('WI2: a holder of an earlier run does not hold the slot for this one', async () => {
  hold('slot/1', 1, 'ingest-1', 'i0');
  expect((await move(1, { to: 'ingest-1' })).body.data['pending']).toBe(true);
});

test('the role of the instance says whose slot moves', async () => {
  hold('slot/3', 3, 'ingest-1');
  hold('state/3', 3, 'replicator-0');
  const reply = await move(3, { to: 'replicator-1' });
  expect(reply.body.data).toMatchObject({ group: 'replicator', owner: 'replicator-0', pending: true });
});

test.each<[string, number | string, unknown, string, string]>([
  ['slot beyond the last', 4, { to: 'ingest-2' }, 'PARAMETER_INVALID', 'slot must be a whole number from 0 to 3'],
  ['slot that is no number', '1.5', { to: 'ingest-2' }, 'PARAMETER_INVALID', 'slot must be'],
  ['slot below the first', '-1', { to: 'ingest-2' }, 'PARAMETER_INVALID', 'slot must be'],
  ['body without a name', 1, {}, 'BODY_INVALID', 'to: must be the name of an instance'],
  ['name that is none', 1, { to: 7, from: 'x' }, 'BODY_INVALID', 'to: must be the name of an instance, and 1 more'],
  ['body that is no object', 1, ['ingest-2'], 'BODY_INVALID', 'the body must be an object'],
  ['unknown field', 1, { to: 'ingest-2', force: true }, 'BODY_INVALID', 'force: is not a field'],
])('a move with a %s is refused, and nothing is written', async (_name, slot, body, code, detail) => {
  const reply = await move(slot, body);
  expect([reply.status, reply.body['code']]).toEqual([400, code]);
  expect(reply.body['detail']).toContain(detail);
  if (code === 'BODY_INVALID') expect((reply.body['problems'] as string[]).length).toBeGreaterThan(0);
  expect(written()).toEqual([]);
});

test('nothing moves to an instance that is draining, by its own word or by a wish', async () => {
  seeInstance('ingest-1', 'ingest', { draining: true });
  await post('/api/v1/instances/ingest-2:drain');
  for (const to of ['ingest-1', 'ingest-2']) {
    const reply = await move(1, { to });
    expect([reply.status, reply.body['code']]).toEqual([400, 'BODY_INVALID']);
    expect((reply.body['problems'] as string[])[0]).toContain(`to: ${to} is draining`);
  }
});

test('WI1: a wish that is not visible here in time is not called done', async () => {
  api.tables.ownership.visible = false;
  const reply = await post('/api/v1/instances/ingest-1:drain');
  expect([reply.status, reply.body['code']]).toEqual([503, 'KAFKA_UNAVAILABLE']);
});

test('WI3: two wishes at once are one after the other: the second sees the first', async () => {
  await Promise.all([post('/api/v1/instances/ingest-1:drain'), post('/api/v1/instances/ingest-1:drain')]);
  expect(written()).toHaveLength(1);
});

test('wishes wait for the tables, take no parameters, and names may have any character', async () => {
  seeInstance('rack/1:2', 'ingest');
  expect((await post('/api/v1/instances/rack%2F1%3A2:drain')).body.data['instance']).toBe('rack/1:2');
  expect((await post('/api/v1/instances/ingest-1:drain?force=1')).body['code']).toBe('PARAMETER_INVALID');
  expect((await api.ask('/api/v1/instances/ingest-1:drain')).headers.get('allow')).toBe('POST');
  api.tables.loaded = false;
  for (const reply of [
    await post('/api/v1/instances/ingest-1:drain'),
    await post('/api/v1/instances/ingest-1:resume'),
    await move(1, { to: 'ingest-2' }),
  ]) {
    expect([reply.status, reply.body['code']]).toEqual([503, 'NOT_CAUGHT_UP']);
  }
});
