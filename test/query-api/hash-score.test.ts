import { expect, test } from '@jest/globals';
import { hashText, scoreOf } from '../../query-api/hash-score.ts';

test('HS1: scores are those of every other release', () => {
  expect(['', 'a', 'query-api-1', 'leaf-1'].map(hashText)).toEqual([
    2_872_998_923, 444_641_715, 1_340_780_207, 438_466_987,
  ]);
  expect(scoreOf(hashText('slot/7'), hashText('query-api-1'))).toBe(299_773_462);
});

test('each of five names is first for about a fifth of the keys', () => {
  const names = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, hash: hashText(name) }));
  const first = new Map<string, number>();
  for (let key = 0; key < 5_000; key += 1) {
    const keyHash = hashText(`device-${key}`);
    const [best] = names.toSorted((a, b) => scoreOf(keyHash, b.hash) - scoreOf(keyHash, a.hash));
    first.set(best!.name, (first.get(best!.name) ?? 0) + 1);
  }
  for (const count of first.values()) expect(Math.abs(count - 1_000)).toBeLessThan(120); // 4 sigma of a fair draw
  expect(first.size).toBe(5);
});

test('a name that goes changes the order of no others', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const orderOf = (of: readonly string[], key: string): string[] =>
    of.toSorted((a, b) => scoreOf(hashText(key), hashText(b)) - scoreOf(hashText(key), hashText(a)));
  for (let key = 0; key < 200; key += 1) {
    const whole = orderOf(names, `device-${key}`);
    const without = orderOf(names.slice(1), `device-${key}`);
    expect(without).toEqual(whole.filter((name) => name !== 'a'));
  }
});
