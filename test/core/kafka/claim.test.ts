import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatClaim, isClaimedElsewhere, nextEpoch, parseClaim } from '../../../core/kafka/claim.ts';

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test('a claim survives its text', () => {
  const claims = fc.record({
    epoch: u64,
    memberId: fc.constantFrom('', 'holdfast-8e1c6a52-53a4-4b42-9e4e-a7e0b9a8a6f3'),
    applied: fc.option(fc.record({ epoch: u64, seq: u64 })),
  });
  fc.assert(fc.property(claims, (claim) => expect(parseClaim(formatClaim(claim))).toEqual(claim)));
});

test.each(['', 'something else', '2 5 m', '1 x m'])('register %j counts as lost', (text) => {
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

const stored = { epoch: 7n, memberId: 'b', applied: null };
test.each([
  ['an empty register', null, null, false],
  ['our own claim', { ...stored, memberId: 'a' }, null, false],
  ['a claim given up without a release', { ...stored, memberId: '' }, null, false],
  ['a claimer that is gone', { ...stored, memberId: 'gone' }, null, false],
  ['another member that released nothing', stored, null, true],
  ['another member that released an older epoch', stored, { memberId: 'b', epoch: 6n }, true],
  ['another member whose epoch somebody else released', stored, { memberId: 'c', epoch: 7n }, true],
  ['another member that released it', stored, { memberId: 'b', epoch: 7n }, false],
] as const)('C3: %s', (_name, claim, released, refused) => {
  expect(isClaimedElsewhere(claim, 'a', new Set(['a', 'b', 'c']), released)).toBe(refused);
});
