import { expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';

test('a sleep ends early when its signal aborts, with the signal’s reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
  await expect(systemClock.sleep(1, controller.signal)).rejects.toBe(reason);
});

test('a timer beyond 2^31 ms does not fire at once, and a cancelled one never', async () => {
  let fired = 0;
  const long = systemClock.after(3_000_000_000, () => (fired += 1));
  const cancelled = systemClock.after(1, () => (fired += 1));
  cancelled.cancel();
  await systemClock.sleep(20);
  long.cancel();
  expect(fired).toBe(0);
});

test('nanoseconds agree with the wall clock and grow within a millisecond', () => {
  const readings = Array.from({ length: 1_000 }, () => systemClock.nowNs());
  const apartMs = Number(readings[0]! / 1_000_000n) - Date.now();
  expect(Math.abs(apartMs)).toBeLessThan(50);
  expect(new Set(readings).size).toBeGreaterThan(900);
});
