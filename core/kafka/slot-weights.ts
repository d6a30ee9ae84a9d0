import { type Slot } from '../../schemas/slot.ts';
import { type HeldReport } from './held-report.ts';

/**
 * What each slot counts for in the plan. Only ratios matter.
 *
 * SW1. Weights are powers of two: what members measure is never the same twice, and noise must not move a slot.
 * SW2. A slot whose weight nobody reports counts as the mean of those that are; without any, all count as 1.
 */
export function slotWeights(holders: readonly (Pick<HeldReport, 'weights'> | undefined)[]): number[] {
  const reported = holders.map((holder, slot: Slot) => {
    const weight = holder?.weights.get(slot);
    return weight === undefined ? undefined : toPowerOfTwo(weight); // SW1
  });
  const known = reported.filter((weight) => weight !== undefined);
  const mean = known.length === 0 ? 1 : known.reduce((sum, weight) => sum + weight, 0) / known.length;
  return reported.map((weight) => weight ?? toPowerOfTwo(mean)); // SW2
}

/** The nearest power of two by ratio, without a logarithm: their last digit differs between machines. */
function toPowerOfTwo(weight: number): number {
  let power = 1;
  while (power * 2 <= weight) power *= 2;
  return weight / power < Math.SQRT2 ? power : power * 2;
}
