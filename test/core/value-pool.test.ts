import { expect, test } from '@jest/globals';
import { ValuePool } from '../../core/value-pool.ts';

test('equal short values are one, and it is kept until its last use ends (VP1)', () => {
  const pool = new ValuePool();
  const up = pool.take('UP');
  expect(pool.take('UP')).toBe(up);
  pool.release(up);
  expect([pool.bytes(up), pool.size]).toEqual(['UP', 1]);
  pool.release(up);
  expect(pool.size).toBe(0);
  expect(pool.take('DOWN')).toBe(up);
  expect(pool.bytes(pool.take('UP'))).toBe('UP');
});

test('long values are kept one by one, and their places are used again (VP1)', () => {
  const pool = new ValuePool();
  const long = 'x'.repeat(65);
  const ids = Array.from({ length: 1_000 }, () => pool.take(long));
  expect(new Set(ids).size).toBe(1_000);
  for (const id of ids) pool.release(id);
  expect(pool.size).toBe(0);
  expect(Math.max(...Array.from({ length: 1_000 }, () => pool.take(long)))).toBe(999);
});
