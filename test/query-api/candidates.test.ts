import { expect, test } from '@jest/globals';
import { Candidates } from '../../query-api/candidates.ts';
import { decodeOwnershipRow } from '../../query-api/ownership-row.ts';
import { Sightings } from '../../query-api/sightings.ts';
import { type Instance } from '../../schemas/instance.ts';
import { placementCodec } from '../../schemas/ownership.ts';
import { drainKey } from '../../schemas/topics.ts';
import { MemoryTopic, pushedClock } from './api-fixture.ts';

const instance = (id: string, more: Partial<Instance> = {}): Instance => ({
  instance: id,
  role: 'query-api',
  incarnation: '1',
  http: `${id}:8080`,
  gnmi: '',
  zone: 'a',
  version: '1',
  startedAtNs: 1n,
  draining: false,
  load: 250,
  slots: [{ slot: 3, epoch: 5n, seq: 7n, stalenessMs: 40 }],
  ...more,
});

function setUp() {
  const clock = pushedClock();
  const instances = new Map<string, Instance>();
  const sightings = new Sightings(clock);
  const ownership = new MemoryTopic((message, key) => decodeOwnershipRow(key, message));
  const suspects = new Set<string>();
  const candidates = new Candidates({
    tables: {
      instances: { size: 0, get: (id) => instances.get(id), entries: () => instances.entries() },
      ownership,
      sightings,
    },
    self: 'query-1',
    experience: { isSuspect: (id) => suspects.has(id), inFlight: (id) => (id === 'query-2' ? 4 : 0) },
  });
  const see = (of: Instance): void => {
    instances.set(of.instance, of);
    sightings.changed(of.instance, true);
  };
  return { clock, instances, sightings, ownership, suspects, candidates, see };
}

test('another query-api is a candidate with what it reports, grown by the time since', () => {
  const { clock, sightings, candidates, see } = setUp();
  sightings.loaded();
  see(instance('query-2'));
  clock.push(1_000);
  see(instance('query-2'));
  clock.push(300);
  const [one, ...more] = candidates.all();
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    instance: 'query-2',
    http: 'query-2:8080',
    zone: 'a',
    cost: 0,
    load: 250,
    inFlight: 4,
    health: 'ok',
  });
  const report = one!.report(3)!;
  expect(report).toMatchObject({ epoch: 5n, seq: 7n });
  expect(Math.round(report.stalenessMs)).toBe(1_340);
  expect(one!.report(4)).toBeUndefined();
});

test('we ourselves, other parts, and instances without an address are none', () => {
  const { sightings, candidates, see } = setUp();
  sightings.loaded();
  for (const one of [instance('query-1'), instance('ingest-1', { role: 'ingest' }), instance('query-3', { http: '' })])
    see(one);
  expect(candidates.all()).toEqual([]);
});

test('one that was not seen since our tables were loaded, or for 5 s, is gone; after a minute it counts for nothing', () => {
  const { clock, sightings, candidates, see } = setUp();
  see(instance('query-2'));
  sightings.loaded();
  const health = (): string[] => candidates.all().map((one) => one.health);
  expect(health()).toEqual(['gone']);
  see(instance('query-2'));
  expect(health()).toEqual(['ok']);
  clock.push(5_100);
  expect(health()).toEqual(['gone']);
  clock.push(60_000);
  expect(health()).toEqual([]);
});

test('one that failed us lately, drains, or is to drain is asked last', () => {
  const { sightings, suspects, candidates, see, ownership } = setUp();
  sightings.loaded();
  const health = (): string[] => candidates.all().map((one) => one.health);
  see(instance('query-2'));
  suspects.add('query-2');
  expect(health()).toEqual(['suspect']);
  suspects.clear();
  see(instance('query-2', { draining: true }));
  expect(health()).toEqual(['suspect']);
  see(instance('query-2'));
  expect(health()).toEqual(['ok']);
  const wish = { instance: 'query-2', drain: true, changedBy: '', changedAtNs: 0n, incarnation: '1' };
  ownership.set(drainKey('query-2'), ownership.decode(placementCodec.encode(wish), drainKey('query-2')));
  expect(health()).toEqual(['suspect']);
});
