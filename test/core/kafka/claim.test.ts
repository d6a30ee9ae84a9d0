import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { formatClaim, isClaimedElsewhere, nextEpoch, parseClaim } from '../../../core/kafka/claim.ts';

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test('a claim survives its text', () => {
  const claims = fc.record({
    epoch: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    memberId: fc.constantFrom('', 'holdfast-8e1c6a52-53a4-4b42-9e4e-a7e0b9a8a6f3'),
    applied: fc.option(fc.record({ epoch: u64, seq: u64 })),
  });
  fc.assert(fc.property(claims, (claim) => expect(parseClaim(formatClaim(claim))).toEqual(claim)));
});

test.each(['', 'something else', '2 5 m', '1 x m', `1 ${1n << 63n} m`])('register %j counts as lost', (text) => {
  expect(parseClaim(text)).toBeNull();
});

test('O3, CL1: the next epoch is above every one seen, and unix ms is only a floor', () => {
  fc.assert(
    fc.property(fc.array(u64, { maxLength: 5 }), fc.nat(), (seen, nowMs) => {
      const epoch = nextEpoch(seen, nowMs);
      for (const known of seen) expect(epoch > known).toBe(true);
      expect(epoch >= BigInt(nowMs)).toBe(true);
    }),
  );
  expect(nextEpoch([5n], 1_000)).toBe(1_000n);
  expect(nextEpoch([3_000n], 1_000)).toBe(3_001n); // a clock that was ahead once
});

const held = (memberId: string, epoch: bigint, state: 'held' | 'released') => ({
  epoch,
  state,
  holder: { instance: memberId, incarnation: memberId, memberId, peer: '', zone: '' },
});
const claims: readonly [string, Parameters<typeof isClaimedElsewhere>[0], ReturnType<typeof held> | null, boolean][] = [
  ['nothing stored', null, null, false],
  ['our own', { epoch: 5n, memberId: 'a', applied: null }, null, false],
  ['given up', { epoch: 5n, memberId: '', applied: null }, null, false],
  ['of one who is not a member any more', { epoch: 5n, memberId: 'gone', applied: null }, null, false],
  ['of another member', { epoch: 5n, memberId: 'b', applied: null }, null, true],
  ['of another that holds it', { epoch: 5n, memberId: 'b', applied: null }, held('b', 5n, 'held'), true],
  ['of another that released it', { epoch: 5n, memberId: 'b', applied: null }, held('b', 5n, 'released'), false],
  [
    'of another that released an older one',
    { epoch: 5n, memberId: 'b', applied: null },
    held('b', 4n, 'released'),
    true,
  ],
  ['of another, released by a third', { epoch: 5n, memberId: 'b', applied: null }, held('c', 5n, 'released'), true],
  [
    'of another, and a third gave a higher one back that never reached the register',
    { epoch: 5n, memberId: 'b', applied: null },
    held('c', 6n, 'released'),
    false,
  ],
];
test.each(claims)('C3, CL2: a claim is somebody else’s: %s', (_name, claim, record, refused) => {
  expect(isClaimedElsewhere(claim, 'a', new Set(['a', 'b', 'c']), record)).toBe(refused);
});
