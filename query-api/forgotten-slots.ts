import { type Slot } from '../schemas/slot.ts';
import { type StateView } from './replica.ts';

/**
 * For who reads `slots` over several turns: the returned function names one of them that was forgotten since, whose leaves
 * have gone unsaid.
 */
export function watchForgotten(state: Pick<StateView, 'resets'>, slots: Iterable<Slot>): () => Slot | undefined {
  const counts = new Map([...slots].map((slot) => [slot, state.resets(slot)]));
  return () => [...counts].find(([slot, count]) => state.resets(slot) !== count)?.[0];
}
