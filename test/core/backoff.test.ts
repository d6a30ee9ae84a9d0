import { expect, test } from '@jest/globals';
import { Backoff } from '../../core/backoff.ts';
import { seededRandom } from '../../core/random.ts';

const middle = { next: () => 0.5 };

test('the delay doubles up to its bound and starts over after a reset', () => {
  const backoff = new Backoff({ initialMs: 100, maxMs: 500, factor: 2, jitter: 0.5 });
  expect([1, 2, 3, 4, 5].map(() => backoff.nextMs(middle))).toEqual([100, 200, 400, 500, 500]);
  backoff.reset();
  expect(backoff.nextMs(middle)).toBe(100);
});

test('jitter keeps the delay within its share on both sides', () => {
  const random = seededRandom(7);
  const delays = Array.from({ length: 1000 }, () =>
    new Backoff({ initialMs: 1000, maxMs: 1000, factor: 1, jitter: 0.5 }).nextMs(random),
  );
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...delays)).toBeLessThan(1500);
  expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(900);
});
