import { expect, test } from '@jest/globals';
import { select, type SlotFreshness } from '../../query-api/select.ts';

const known = (stalenessMs: number): SlotFreshness => ({ kind: 'known', stalenessMs });
const estimated = (stalenessMs: number): SlotFreshness => ({ kind: 'estimated', stalenessMs });
const incomplete: SlotFreshness = { kind: 'incomplete', reason: 'still being read' };

test.each<[string, SlotFreshness[], number | null, object]>([
  ['the largest staleness is stated', [known(3), known(40.2)], null, { kind: 'local', stalenessMs: 41 }],
  ['an old answer is given when no bound was asked for', [known(90_000)], null, { kind: 'local', stalenessMs: 90_000 }],
  ['no slots, nothing stale', [], 0, { kind: 'local', stalenessMs: 0 }],
  ['at the bound is fresh enough', [known(100)], 100, { kind: 'local', stalenessMs: 100 }],
  ['beyond the bound nobody answers (S2)', [known(5), known(101)], 100, { kind: 'nobody', code: 'TOO_STALE', slot: 1 }],
  ['an estimate is stated', [estimated(50)], null, { kind: 'local', stalenessMs: 50 }],
  ['an estimate never meets a bound (S2)', [estimated(50)], 100, { kind: 'nobody', code: 'TOO_STALE', slot: 0 }],
  [
    'a slot that is not read whole is not answered (S1)',
    [known(1), incomplete],
    null,
    { kind: 'nobody', code: 'NOT_CAUGHT_UP', slot: 1 },
  ],
])('%s', (_name, freshness, maxStalenessMs, expected) => {
  const candidate = { instance: 'query-1', local: true, freshness: (slot: number) => freshness[slot]! };
  const slots = freshness.map((_, slot) => slot);
  expect(select({ slots, maxStalenessMs }, [candidate])).toMatchObject(expected);
});
