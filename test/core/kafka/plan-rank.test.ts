import { expect, test } from '@jest/globals';
import { isLower } from '../../../core/kafka/plan-rank.ts';

test('the first difference decides, and equal ranks are not lower', () => {
  expect(isLower([0, 9], [1, 0])).toBe(true);
  expect(isLower([1, 0], [0, 9])).toBe(false);
  expect(isLower([1, 2], [1, 3])).toBe(true);
  expect(isLower([1, 2], [1, 2])).toBe(false);
});
