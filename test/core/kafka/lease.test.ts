import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import {
  extendLease,
  judgeTick,
  leaseUntilMs,
  muteLease,
  newLease,
  publishUntilMs,
  type Proof,
} from '../../../core/kafka/lease.ts';

const timers = { sessionTimeoutMs: 20_000, rebalanceTimeoutMs: 60_000, heartbeatMs: 1_000, guardMs: 1_000 };
const lease = (...proofs: readonly (readonly [Proof, number])[]) =>
  proofs.reduce((sofar, [proof, sentAtMs]) => extendLease(sofar, proof, sentAtMs), newLease());

const cases: readonly (readonly [string, readonly (readonly [Proof, number])[], number])[] = [
  ['L-3: nothing proved is not live', [], Number.NEGATIVE_INFINITY],
  [
    'L-3: joined and synced without a commit is not live',
    [
      ['join', 0],
      ['heartbeat', 500],
    ],
    Number.NEGATIVE_INFINITY,
  ],
  [
    'L-2: the commit after the Sync makes it live',
    [
      ['join', 0],
      ['commit', 100],
    ],
    100 + 20_000 - 1_000,
  ],
  [
    'S counts from the last accepted request',
    [
      ['join', 0],
      ['commit', 9_000],
      ['heartbeat', 5_000],
    ],
    28_000,
  ],
  [
    'S of the coordinator: heartbeats alone do not extend',
    [
      ['join', 0],
      ['commit', 0],
      ['heartbeat', 15_000],
    ],
    19_000,
  ],
  [
    'R: sessions alone do not extend beyond the last proof of joining',
    [
      ['join', 0],
      ['commit', 55_000],
      ['session', 55_000],
    ],
    59_000,
  ],
  [
    'a commit counts for S, not for R',
    [
      ['join', 0],
      ['commit', 50_000],
    ],
    59_000,
  ],
  [
    'L-1: an older answer that comes late changes nothing',
    [
      ['join', 0],
      ['commit', 9_000],
      ['commit', 2_000],
    ],
    28_000,
  ],
];

test.each(cases)('%s', (_name, proofs, untilMs) => {
  expect(leaseUntilMs(lease(...proofs), timers)).toBe(untilMs);
});

test('L-4: a stalled worker is mute until a heartbeat sent afterwards is answered NONE', () => {
  const stalled = muteLease(lease(['join', 0], ['commit', 0]), 3_000, 0);
  expect(publishUntilMs(stalled, timers)).toBe(Number.NEGATIVE_INFINITY);
  expect(leaseUntilMs(stalled, timers)).toBe(19_000); // still the moment at which everything must be closed
  expect(publishUntilMs(extendLease(stalled, 'heartbeat', 2_999), timers)).toBe(Number.NEGATIVE_INFINITY);
  expect(publishUntilMs(extendLease(stalled, 'commit', 3_001), timers)).toBe(Number.NEGATIVE_INFINITY);
  expect(publishUntilMs(extendLease(stalled, 'session', 3_001), timers)).toBe(Number.NEGATIVE_INFINITY);
  expect(publishUntilMs(extendLease(stalled, 'heartbeat', 3_001), timers)).toBe(19_000);
});

test('L-5: what was sent before a pause is older than the monotonic clock says, and late answers to it prove nothing', () => {
  const paused = muteLease(lease(['join', 0], ['commit', 0]), 3_000, 5_000);
  expect(leaseUntilMs(paused, timers)).toBe(14_000);
  for (const proof of ['join', 'heartbeat', 'commit'] as const) {
    expect(extendLease(paused, proof, 2_999)).toEqual(paused);
  }
  // A heartbeat, which a superseded coordinator answers as well, brings the voice back but not the time.
  const heard = extendLease(paused, 'heartbeat', 3_001);
  expect(publishUntilMs(heard, timers)).toBe(14_000);
  expect(leaseUntilMs(extendLease(heard, 'commit', 3_002), timers)).toBe(22_002);
});

test('O2: however proofs arrive, the lease never outlives any of its three terms', () => {
  const proof = fc.tuple(fc.constantFrom<Proof>('join', 'heartbeat', 'session', 'commit'), fc.nat(100_000));
  fc.assert(
    fc.property(fc.array(proof), (proofs) => {
      const untilMs = leaseUntilMs(lease(...proofs), timers);
      const last = (kinds: readonly Proof[]): number =>
        Math.max(Number.NEGATIVE_INFINITY, ...proofs.filter(([kind]) => kinds.includes(kind)).map(([, at]) => at));
      expect(untilMs).toBeLessThanOrEqual(last(['join', 'heartbeat', 'session', 'commit']) + 19_000);
      expect(untilMs).toBeLessThanOrEqual(last(['join', 'heartbeat']) + 59_000);
      expect(untilMs).toBeLessThanOrEqual(last(['commit']) + 19_000);
    }),
  );
});

test.each([
  ['on time', { lateMs: 20, driftMs: 1 }, { kind: 'fine' }],
  ['late by more than half the guard', { lateMs: 501, driftMs: 0 }, { kind: 'stalled', lostMs: 0 }],
  ['one after a pause of the machine', { lateMs: 0, driftMs: 5_000 }, { kind: 'stalled', lostMs: 5_000 }],
  ['one after the wall clock was set back', { lateMs: 0, driftMs: -3_600_000 }, { kind: 'stalled', lostMs: 0 }],
  ['late, and the clocks agree', { lateMs: 30_000, driftMs: 0 }, { kind: 'stalled', lostMs: 0 }],
] as const)('L3: a tick that is %s', (_name, tick, verdict) => {
  expect(judgeTick(tick, timers)).toEqual(verdict);
});
