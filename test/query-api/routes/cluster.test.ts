import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Instance } from '../../../schemas/instance.ts';
import { type SlotOwnership } from '../../../schemas/ownership.ts';
import { type Api, epoch, startApi } from '../api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await startApi();
});
afterEach(() => api.server.stop());

function seeInstance(instance: string, role: string, more: Partial<Instance> = {}): void {
  const record: Instance = {
    instance,
    role,
    incarnation: 'i1',
    http: '127.0.0.1:1',
    gnmi: '',
    zone: '',
    version: '0.1.0',
    startedAtNs: 1n,
    draining: false,
    load: 310,
    slots: [],
    ...more,
  };
  api.tables.instances.set(instance, record);
  api.tables.sightings.changed(instance, true);
}

function own(slot: number, instance: string, more: Partial<SlotOwnership> = {}, key = `slot/${slot}`): void {
  const holder = { instance, incarnation: 'i1', memberId: 'm', peer: '', zone: '' };
  const record: SlotOwnership = {
    slot,
    holder,
    state: 'held',
    epoch,
    lastSeq: 0n,
    sinceNs: 77n,
    reason: 'start',
    fromEpoch: 0n,
    fromSeq: 0n,
    ...more,
  };
  api.tables.ownership.set(key, { kind: 'slot', slot: record });
}

test('ownership: plan, owner, standby, and the position that the holder reports', async () => {
  own(0, 'ingest-1', { reason: 'crash' });
  own(1, 'ingest-2', { state: 'released', lastSeq: 9n });
  seeInstance('ingest-1', 'ingest', { slots: [{ slot: 0, epoch, seq: 41n, stalenessMs: 0 }] });
  const member = (instance: string) => ({ instance, incarnation: 'i1', memberId: 'm', peer: '', zone: '' });
  const planSlot = { owner: 1, standby: 2, prev: 0, prevEpoch: 0n, reason: 1 };
  const plan = {
    version: 2n ** 60n,
    generation: 3,
    members: [member('ingest-1'), member('ingest-2')],
    slots: [planSlot],
    leader: 2,
  };
  api.tables.ownership.set('plan', { kind: 'plan', plan });
  const { data } = (await api.ask('/api/v1/ownership')).body;
  expect(data['plan']).toEqual({ version: '1152921504606846976', leader: 'ingest-2' });
  expect(data['slots']).toEqual([
    {
      slot: 0,
      state: 'held',
      owner: 'ingest-1',
      standby: 'ingest-2',
      wish: null,
      epoch: `${epoch}`,
      position: `0:${epoch}:41`,
      since: '77',
      reason: 'crash',
    },
    {
      slot: 1,
      state: 'released',
      owner: null,
      standby: null,
      wish: null,
      epoch: `${epoch}`,
      position: `1:${epoch}:9`,
      since: '77',
      reason: 'start',
    },
    ...[2, 3].map((slot) => ({
      ...{ slot, state: 'unowned', owner: null, standby: null, wish: null },
      ...{ epoch: null, position: null, since: null, reason: null },
    })),
  ]);
  const plannedByNobody = { ...plan, leader: 0 }; // of a version that did not say
  api.tables.ownership.set('plan', { kind: 'plan', plan: plannedByNobody });
  expect((await api.ask('/api/v1/ownership')).body.data['plan']).toMatchObject({ leader: null });
});

test('ownership of the replicators is asked for by name', async () => {
  own(2, 'replicator-1', {}, 'state/2');
  const slots = (await api.ask('/api/v1/ownership?group=replicator')).body.data['slots'] as { owner: string | null }[];
  expect(slots.map((slot) => slot.owner)).toEqual([null, null, 'replicator-1', null]);
  expect((await api.ask('/api/v1/ownership?group=other')).status).toBe(400);
});

test('instances are those seen within 5 s, by our clock', async () => {
  seeInstance('ingest-1', 'ingest', { slots: [{ slot: 0, epoch, seq: 1n, stalenessMs: 0 }], zone: 'z1' });
  api.clock.push(4_000);
  seeInstance('query-1', 'query-api');
  const list = (await api.ask('/api/v1/instances')).body.data['instances'] as Record<string, unknown>[];
  expect(list).toMatchObject([
    {
      instance: 'ingest-1',
      role: 'ingest',
      http: '127.0.0.1:1',
      gnmi: null,
      zone: 'z1',
      version: '0.1.0',
      draining: false,
      load: 0.31,
      slots: 1,
    },
    { instance: 'query-1', zone: null, slots: 0 },
  ]);
  expect(list[0]!['seenMs']).toBeGreaterThanOrEqual(4_000);
  api.clock.push(2_000);
  const later = (await api.ask('/api/v1/instances')).body.data['instances'] as Record<string, unknown>[];
  expect(later.map((instance) => instance['instance'])).toEqual(['query-1']);
});

test('instances and slots have pages, in the order of names and numbers', async () => {
  for (const instance of ['c', 'a', 'b']) seeInstance(instance, 'ingest');
  const pagesOf = async (path: string, list: string, name: string): Promise<unknown[][]> => {
    const pages: unknown[][] = [];
    for (let next: string | null = ''; next !== null;) {
      const { data } = (await api.ask(`${path}limit=2${next === '' ? '' : `&next=${next}`}`)).body;
      pages.push((data[list] as Record<string, unknown>[]).map((each) => each[name]));
      next = data['next'] as string | null;
    }
    return pages;
  };
  expect(await pagesOf('/api/v1/instances?', 'instances', 'instance')).toEqual([['a', 'b'], ['c']]);
  expect(await pagesOf('/api/v1/ownership?', 'slots', 'slot')).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(await pagesOf('/api/v1/ownership?group=replicator&', 'slots', 'slot')).toHaveLength(2);
  for (const path of ['instances', 'ownership']) {
    expect((await api.ask(`/api/v1/${path}?next=x`)).body['code']).toBe('PARAMETER_INVALID');
  }
});

test('cluster: a slot counts as held while its holder is there, in the life that claimed it', async () => {
  for (let slot = 0; slot < 4; slot += 1) own(slot, slot < 3 ? 'ingest-1' : 'ingest-2');
  seeInstance('ingest-1', 'ingest');
  seeInstance('ingest-2', 'ingest', { incarnation: 'i2' });
  seeInstance('query-1', 'query-api', { slots: [{ slot: 0, epoch, seq: 1n, stalenessMs: 40 }] });
  seeInstance('query-2', 'query-api', {
    slots: [
      { slot: 0, epoch, seq: 1n, stalenessMs: 40 },
      { slot: 1, epoch, seq: 1n, stalenessMs: 20_000 },
    ],
  });
  await api.addDevice('a');
  await api.addDevice('b');
  api.setStatus('a', 'synced');
  expect((await api.ask('/api/v1/cluster')).body.data).toEqual({
    kafka: 'ok',
    slots: { total: 4, held: 3, unanswered: 3 }, // one has only an old copy
    devices: { total: 2, synced: 1 },
    instances: { ingest: 2, 'query-api': 2 },
    stalenessMs: 12,
  });
  api.facts.kafkaOk = false;
  api.clock.push(6_000);
  const away = (await api.ask('/api/v1/cluster')).body.data;
  expect(away).toMatchObject({ kafka: 'unreachable', slots: { held: 0, unanswered: 4 }, instances: {} });
});

test('the owner of the one slot of an answer is named', async () => {
  await api.addDevice('a');
  for (let slot = 0; slot < 4; slot += 1) own(slot, 'ingest-1');
  expect((await api.ask('/api/v1/devices/a/state')).headers.get('holdfast-owner')).toBe('ingest-1');
  expect((await api.ask('/api/v1/state')).headers.get('holdfast-owner')).toBeNull();
});
