import { expect, test } from '@jest/globals';
import { RedialPause } from '../../ingest/redial-pause.ts';

const settings = { redialMs: 1_000, redialMsMax: 60_000, refusedRedialMs: 300_000 };
const pauseWith = (share: number): RedialPause => new RedialPause(settings, { next: () => share });
const pauses = (pause: RedialPause, count: number): number[] =>
  Array.from({ length: count }, () => pause.nextMs('soon'));

test('T14: 1 → 60 s, doubled', () => {
  expect(pauses(pauseWith(0.5), 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
});

test.each([
  [0, 500, 150_000],
  [0.75, 1_250, 375_000],
])('T14, T19: random by half, at %d', (share, soonMs, slowlyMs) => {
  expect([pauseWith(share).nextMs('soon'), pauseWith(share).nextMs('slowly')]).toEqual([soonMs, slowlyMs]);
});

test('T19: a refusal waits its own time and does not count as a failure', () => {
  const pause = pauseWith(0.5);
  expect([pause.nextMs('slowly'), pause.nextMs('slowly'), pause.nextMs('soon')]).toEqual([300_000, 300_000, 1_000]);
});

test('T14: from 1 s again only after a connection that was up for longer than 60 s', () => {
  const pause = pauseWith(0.5);
  pauses(pause, 3);
  pause.ended(60_000);
  expect(pause.nextMs('soon')).toBe(8_000);
  pause.ended(60_001);
  expect(pause.nextMs('soon')).toBe(1_000);
});

test('a reset begins anew', () => {
  const pause = pauseWith(0.5);
  pauses(pause, 4);
  pause.reset();
  expect(pause.nextMs('soon')).toBe(1_000);
});
