import { expect, test } from '@jest/globals';
import { type Instance } from '../../schemas/instance.ts';
import { type Placement } from '../../schemas/ownership.ts';
import { drainOf, groupOfRole, groupPlacement, isDraining, memberName, placement } from '../../query-api/group-map.ts';
import { type OwnershipRow } from '../../query-api/ownership-row.ts';

const wish = (more: Partial<Placement>): OwnershipRow => ({
  kind: 'placement',
  placement: { instance: 'ingest-1', drain: false, changedBy: 'mia', changedAtNs: 1n, incarnation: '', ...more },
});

const instanceOf = (instance: string, role: string, more: Partial<Instance> = {}): Instance => ({
  ...{ instance, role, incarnation: 'i1', http: '', gnmi: '', zone: '', version: '0.1.0', startedAtNs: 1n },
  ...{ draining: false, load: 0, slots: [], ...more },
});

function tablesOf(rows: Readonly<Record<string, OwnershipRow>>, instances: readonly Instance[] = []) {
  return {
    ownership: new Map(Object.entries(rows)),
    instances: new Map(instances.map((instance) => [instance.instance, instance])),
  };
}

test('GM1: a wish concerns the slot of the group that its instance belongs to', () => {
  const instances = [instanceOf('ingest-1', 'ingest'), instanceOf('replicator-1', 'replicator')];
  const rows = {
    'place/1': wish({}),
    'place/2': wish({ instance: 'replicator-1' }),
    'place/3': wish({ instance: 'x' }),
  };
  const tables = tablesOf(rows, instances);
  const wished = (group: 'ingest' | 'replicator') =>
    [0, 1, 2, 3].map((slot) => groupPlacement(tables, group, slot)?.instance ?? null);
  expect(wished('ingest')).toEqual([null, 'ingest-1', null, 'x']); // x: gone, so it may be either's
  expect(wished('replicator')).toEqual([null, null, 'replicator-1', 'x']);
  expect(placement(tables, 2)?.instance).toBe('replicator-1');
  expect(['ingest', 'replicator', 'query-api', ''].map(groupOfRole)).toEqual(['ingest', 'replicator', null, null]);
});

test.each<[string, string, boolean]>([
  ['this run', 'i1', true],
  ['every run', '', true],
  ['a run before', 'i0', false],
])('GM2: a drain of %s', (_name, incarnation, draining) => {
  const tables = tablesOf({ 'drain/ingest-1': wish({ drain: true, incarnation }) });
  expect(isDraining(tables, instanceOf('ingest-1', 'ingest'))).toBe(draining);
  expect(drainOf(tables, 'ingest-1')?.incarnation).toBe(incarnation);
});

test('an instance drains too when it says so, and not by a record that wishes nothing', () => {
  const tables = tablesOf({ 'drain/ingest-1': wish({ drain: false }) });
  expect(isDraining(tables, instanceOf('ingest-1', 'ingest'))).toBe(false);
  expect(isDraining(tables, instanceOf('ingest-1', 'ingest', { draining: true }))).toBe(true);
});

test('members of a plan are numbered from 1, and a number without a member is nobody', () => {
  const member = { instance: 'ingest-1', incarnation: 'i1', memberId: 'm', peer: '', zone: '' };
  const plan = { version: 1n, generation: 1, members: [member], slots: [], leader: 1 };
  expect([0, 1, 2].map((number) => memberName(plan, number))).toEqual([null, 'ingest-1', null]);
  expect(memberName(null, 1)).toBeNull();
});
