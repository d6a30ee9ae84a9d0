import { expect, test } from '@jest/globals';
import { EpochTable } from '../../core/epoch-table.ts';

test('an epoch has one id while it is used, exact to 64 bits; then the id is used again', () => {
  const table = new EpochTable();
  const big = 2n ** 64n - 1n;
  const id = table.take(big);
  expect([table.take(big), table.take(big - 1n)]).toEqual([id, id + 1]);
  expect([table.epoch(id), table.epoch(id + 1), table.size]).toEqual([big, big - 1n, 2]);
  table.release(id);
  expect(table.take(big)).toBe(id);
  table.release(id);
  table.release(id);
  expect(table.size).toBe(1);
  expect(table.take(7n)).toBe(id);
  expect([table.epoch(id), table.epoch(table.take(big))]).toEqual([7n, big]);
});

test('an epoch that was given back and taken again at once counts from nothing', () => {
  const table = new EpochTable();
  table.release(table.take(5n));
  const id = table.take(5n);
  expect([table.size, table.epoch(id)]).toEqual([1, 5n]);
  table.release(id);
  expect(table.size).toBe(0);
});
