import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import {
  newStake,
  type PendingBatch,
  replaceBatch,
  sequenceAfter,
  splitBatch,
} from '../../../core/kafka/pending-batch.ts';
import { type DecodedRecord, decodeBatches, decodeRecords } from '../../../core/kafka/record-batch.ts';

const record = (text: string): DecodedRecord => ({
  offset: 0n,
  timestampMs: 7,
  key: Buffer.from('k'),
  value: Buffer.from(text),
  header: null,
});

function batchOf(count: number, groupStarts: readonly number[]): PendingBatch {
  const state = { replacing: false, sent: true, uncertain: false };
  return { sealed: null, recordCount: count, stake: newStake(), groupStarts, ...state };
}

async function texts({ sealed }: PendingBatch): Promise<string[]> {
  const [batch] = decodeBatches(sealed!.anonymousBytes());
  return (await decodeRecords(batch!)).map(({ value }) => value!.toString());
}

const cuts: readonly [count: number, starts: readonly number[], cut: number, why: string][] = [
  [2, [0, 1], 1, 'two groups'],
  [4, [0, 1, 2, 3], 2, 'in the middle'],
  [5, [0, 4], 4, 'the only place between groups'],
  [6, [0, 1, 4], 4, 'the place next to the middle'],
  [3, [0], 2, 'a group alone is cut, or it would never go'],
];

test.each(cuts)('PB2: %i records with groups at %j are cut at %i: %s', async (count, starts, cut) => {
  const records = Array.from({ length: count }, (_, index) => record(`${index}`));
  const batch = batchOf(count, starts);
  const [head, tail] = splitBatch(batch, records);
  expect([...(await texts(head)), ...(await texts(tail))]).toEqual(records.map(({ value }) => value!.toString()));
  expect([head.recordCount, tail.recordCount]).toEqual([cut, count - cut]);
  expect(batch.stake.parts).toBe(2); // PB1
  expect(head.stake).toBe(tail.stake);
  for (const part of [head, tail]) for (const start of part.groupStarts) expect(start).toBeLessThan(part.recordCount);
});

test('a replacement keeps the stake and counts as never sent', async () => {
  const batch = batchOf(1, [0]);
  const instead = replaceBatch(batch, { ...record('gap'), prefix: null, timestampMs: 1 });
  expect(await texts(instead)).toEqual(['gap']);
  expect(instead).toMatchObject({ stake: batch.stake, replacing: true, sent: false, recordCount: 1 });
});

test('sequences grow by the number of records and wrap to 0 behind 2^31 - 1', () => {
  expect(sequenceAfter(2_147_483_647, 1)).toBe(0);
  expect(sequenceAfter(2_147_483_646, 3)).toBe(1);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_147_483_647 }), fc.integer({ min: 1, max: 100_000 }), (from, count) => {
      expect(sequenceAfter(from, count)).toBe((from + count) % 2_147_483_648);
    }),
  );
});
