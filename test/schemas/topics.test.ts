import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { formatElems } from '../../schemas/path.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { schemaTexts } from '../../schemas/proto-texts.ts';
import {
  drainKey,
  groupOf,
  leafKey,
  messageNames,
  parseLeafKey,
  parseOwnershipKey,
  placeKey,
  planKey,
  slotKey,
  slotMarkerKey,
  statePlanKey,
  stateSlotKey,
  subjectOf,
  topicCatalogue,
  topicOf,
  transactionalIdOf,
} from '../../schemas/topics.ts';
import { anyElems, anyText } from './arbitrary.ts';

test('names are those of the contract', () => {
  expect(topicOf('holdfast.', 'telemetry')).toBe('holdfast.telemetry');
  expect(groupOf('holdfast.', 'ingest')).toBe('holdfast.ingest');
  expect(transactionalIdOf('holdfast.', 'ingest', 7)).toBe('holdfast.slot-7');
  expect(transactionalIdOf('holdfast.', 'replicator', 7)).toBe('holdfast.state-7');
  expect(subjectOf('holdfast.state', 'holdfast.v1.Leaf')).toBe('holdfast.state-holdfast.v1.Leaf');
  expect([
    slotKey(7),
    stateSlotKey(7),
    planKey,
    statePlanKey,
    drainKey('ingest-1'),
    placeKey(7),
    slotMarkerKey,
  ]).toEqual(['slot/7', 'state/7', 'plan', 'state-plan', 'drain/ingest-1', 'place/7', '|slot']);
});

test('T2: every record type is in some topic, and has a schema', () => {
  const used = new Set(topicCatalogue.flatMap((topic) => topic.messages));
  expect([...used].sort()).toEqual([...messageNames].sort());
  for (const name of messageNames) expect(schemaTexts[name].text).toContain('syntax = "proto3";');
});

test('ownership keys are told apart; others are skipped', () => {
  expect(parseOwnershipKey(slotKey(7))).toEqual({ kind: 'slot', slot: 7 });
  expect(parseOwnershipKey(stateSlotKey(0))).toEqual({ kind: 'state', slot: 0 });
  expect(parseOwnershipKey(placeKey(63))).toEqual({ kind: 'place', slot: 63 });
  expect(parseOwnershipKey(planKey)).toEqual({ kind: 'plan' });
  expect(parseOwnershipKey(statePlanKey)).toEqual({ kind: 'state-plan' });
  expect(parseOwnershipKey(drainKey('a/b'))).toEqual({ kind: 'drain', instance: 'a/b' });
  for (const key of ['', 'slot/', 'slot/07', 'slot/x', 'drain/', 'future/1'])
    expect(parseOwnershipKey(key)).toBeUndefined();
});

test('leaf keys come back, whatever origin and path hold', () => {
  expect(leafKey('leaf-1', 'openconfig', '/a/b[k=v|w]')).toBe('leaf-1|openconfig:/a/b[k=v|w]');
  const device = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/);
  fc.assert(
    fc.property(device, anyText, anyElems, (name, origin, elems) => {
      const path = formatElems(elems);
      expect(parseLeafKey(leafKey(name, origin, path))).toEqual({ device: name, origin, path });
    }),
  );
});

test.each([slotMarkerKey, '', 'leaf-1', 'leaf-1|openconfig', 'leaf-1|/a', '|openconfig:/a'])(
  '%j is no leaf key',
  (key) => {
    expect(() => parseLeafKey(key)).toThrow(RecordMalformed);
  },
);
