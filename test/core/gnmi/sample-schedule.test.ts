import { expect, test } from '@jest/globals';
import { SampleSchedule } from '../../../core/gnmi/sample-schedule.ts';
import { type PlannedSubscription } from '../../../core/gnmi/subscribe-plan.ts';
import { parsePath } from '../../../schemas/path.ts';

const subscription = (more: Partial<PlannedSubscription>): PlannedSubscription => ({
  path: parsePath('/a'),
  mode: 'sample',
  intervalMs: 1_000,
  suppressRedundant: false,
  heartbeatMs: 0,
  ...more,
});

test('an interval is kept on average and never rounded: a late timer does not move the next deadline (M6)', () => {
  const schedule = new SampleSchedule([subscription({ intervalMs: 100.5 })], 0);
  const dues: number[] = [];
  for (let at = 0; at < 1_000; at += 30) if (schedule.take(at).length > 0) dues.push(at);
  expect(dues).toHaveLength(9); // 100.5, 201, … 904.5
});

test('a stream that was held up goes on with the next deadline instead of sending what it missed', () => {
  const schedule = new SampleSchedule([subscription({})], 0);
  expect(schedule.take(10_500)).toHaveLength(1);
  expect(schedule.take(10_900)).toHaveLength(0);
  expect(schedule.nextAtMs()).toBe(11_000);
});

test('suppression holds for samples, not for the heartbeat (M7, M8); a heartbeat goes with every mode (M4)', () => {
  const schedule = new SampleSchedule(
    [
      subscription({ suppressRedundant: true, heartbeatMs: 2_500 }),
      subscription({ mode: 'on-change', heartbeatMs: 2_500 }),
      subscription({ mode: 'on-change' }),
    ],
    0,
  );
  const whole = (atMs: number) => schedule.take(atMs).map((due) => due.whole);
  expect(whole(1_000)).toEqual([false]);
  expect(whole(2_000)).toEqual([false]);
  expect(whole(2_500)).toEqual([true, true]);
  expect(whole(3_000)).toEqual([false]);
});

test('intervals beyond what a timer can do are deadlines like any other (M10)', () => {
  const schedule = new SampleSchedule([subscription({ intervalMs: 2 ** 40 })], 0);
  expect(schedule.nextAtMs()).toBe(2 ** 40);
  expect(schedule.take(2 ** 40 - 1)).toHaveLength(0);
});

test('nothing to sample: never', () => {
  expect(new SampleSchedule([subscription({ mode: 'on-change' })], 0).nextAtMs()).toBe(Infinity);
});
