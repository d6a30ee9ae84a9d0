import { expect, test } from '@jest/globals';
import { formatSlots, readinessOf } from '../../query-api/readiness.ts';
import { type SlotFreshness } from '../../query-api/slot-freshness.ts';

const fresh: SlotFreshness = { kind: 'known', stalenessMs: 5 };
const old: SlotFreshness = { kind: 'estimated', stalenessMs: 90_000 };
const unread: SlotFreshness = { kind: 'incomplete', reason: 'no replicator has written it yet' };
const facts = { tablesLoaded: true, kafkaOk: true, readyStalenessMs: 10_000 };

test('ready when tables are read, Kafka answers and every slot is fresh', () => {
  expect(readinessOf({ ...facts, slots: [fresh, fresh] })).toEqual({ ready: true, reasons: [] });
});

test('each kind of trouble is one reason that names its slots', () => {
  expect(readinessOf({ ...facts, kafkaOk: false, slots: [old, unread, unread, fresh, unread, old] })).toEqual({
    ready: false,
    reasons: [
      'Kafka does not answer',
      'slots 0, 5: older than 10000 ms',
      'slots 1-2, 4: no replicator has written it yet',
    ],
  });
});

test.each([
  [[3], '3'],
  [[0, 1, 2, 9], '0-2, 9'],
  [[], ''],
])('%p prints as %p', (slots, text) => {
  expect(formatSlots(slots)).toBe(text);
});
