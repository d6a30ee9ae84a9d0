import { expect, test } from '@jest/globals';
import { HoldfastError } from '../../../core/errors.ts';
import { lockTimersOf } from '../../../core/kafka/lock-timers.ts';

const unset = {
  sessionTimeoutMs: undefined,
  heartbeatMs: undefined,
  leaseGuardMs: undefined,
  rebalanceTimeoutMs: 60_000,
};

test('the two profiles', () => {
  expect(lockTimersOf({ ...unset, timers: 'default' })).toEqual({
    sessionTimeoutMs: 20_000,
    heartbeatMs: 1_000,
    guardMs: 1_000,
    rebalanceTimeoutMs: 60_000,
  });
  expect(lockTimersOf({ ...unset, timers: 'fast' })).toMatchObject({
    sessionTimeoutMs: 6_000,
    heartbeatMs: 500,
    guardMs: 500,
  });
});

test('a setting of its own wins over the profile', () => {
  expect(lockTimersOf({ ...unset, timers: 'fast', sessionTimeoutMs: 9_000 }).sessionTimeoutMs).toBe(9_000);
});

test('every broken bound is named with its remedy, all at once', () => {
  const settings = {
    timers: 'default',
    sessionTimeoutMs: 30_000,
    heartbeatMs: 3_500,
    leaseGuardMs: 6_000,
    rebalanceTimeoutMs: 60_000,
  } as const;
  const refused = (): unknown => lockTimersOf(settings);
  expect(refused).toThrow(HoldfastError);
  expect(refused).toThrow(/rebalanceTimeoutMs 60000 .* at least 90000/);
  expect(refused).toThrow(/heartbeatMs 3500 .* at most 3000/);
  expect(refused).toThrow(/leaseGuardMs 6000 .* below 6000/);
});
