import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { slotWeights } from '../../../core/kafka/slot-weights.ts';

/** Slot n has weight `weights[n]`, as its holder reports it; undefined: nobody does. */
const weigh = (...weights: (number | undefined)[]): number[] =>
  slotWeights(
    weights.map((weight, slot) => (weight === undefined ? undefined : { weights: new Map([[slot, weight]]) })),
  );

test('SW1: a weight becomes the nearest power of two', () => {
  expect(weigh(1, 2, 3, 5, 6, 90, 91, 0xffff_ffff)).toEqual([1, 2, 4, 4, 8, 64, 128, 2 ** 32]);
});

test('SW1: what is measured within an eighth of a power of two is that power', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 4, max: 31 }),
      fc.double({ min: 0.875, max: 1.125, noNaN: true }),
      (exponent, noise) => expect(weigh(2 ** exponent * noise)).toEqual([2 ** exponent]),
    ),
  );
});

test('SW2: a slot without a weight counts as the mean of the others, and as 1 where there is none', () => {
  expect(weigh(2, undefined, 8)).toEqual([2, 4, 8]);
  expect(weigh(undefined, undefined)).toEqual([1, 1]);
  expect(slotWeights([{ weights: new Map() }, { weights: new Map([[1, 16]]) }])).toEqual([16, 16]);
});
