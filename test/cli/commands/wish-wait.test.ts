import { expect, test } from '@jest/globals';
import { waitForWish } from '../../../cli/commands/wish-wait.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function createWait(states: readonly number[], timeoutMs: number) {
  const clock = new FakeClock();
  const told: string[] = [];
  let looks = 0;
  const outcome = waitForWish({
    clock,
    timeoutMs,
    look: () => Promise.resolve(states[Math.min(looks++, states.length - 1)] ?? 0),
    isFulfilled: (left) => left === 0,
    describe: (left) => `${left} left`,
    tell: (line) => told.push(line),
  });
  return { clock, told, outcome, looks: () => looks };
}

test('it looks at once, then every half second, and tells each change once', async () => {
  const { clock, told, outcome, looks } = createWait([3, 3, 1, 0], 60_000);
  await clock.advance(999);
  expect([looks(), told]).toEqual([2, ['3 left']]);
  await clock.advance(501);
  expect(await outcome).toEqual({ fulfilled: true, state: 0 });
  expect([told, clock.armed]).toEqual([['3 left', '1 left'], 0]);
});

test('what is so already is not waited for', async () => {
  const { clock, told, outcome } = createWait([0], 60_000);
  expect(await outcome).toEqual({ fulfilled: true, state: 0 });
  expect([told, clock.armed]).toEqual([[], 0]);
});

test('when the time is over it looks a last time and says what it saw', async () => {
  const { clock, outcome, looks } = createWait([2], 1_200);
  await clock.advance(1_199);
  expect(looks()).toBe(3);
  await clock.advance(1);
  expect(await outcome).toEqual({ fulfilled: false, state: 2 });
  expect([looks(), clock.armed]).toEqual([4, 0]);
});
