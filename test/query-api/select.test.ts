import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { type Candidate, type ReportedSlot } from '../../query-api/candidate.ts';
import { type Choice, select } from '../../query-api/select.ts';
import { type SlotFreshness } from '../../query-api/slot-freshness.ts';
import { type Position } from '../../schemas/position.ts';

const known = (stalenessMs: number): SlotFreshness => ({ kind: 'known', stalenessMs });
const estimated = (stalenessMs: number): SlotFreshness => ({ kind: 'estimated', stalenessMs });
const incomplete: SlotFreshness = { kind: 'incomplete', reason: 'still being read' };
const absent: SlotFreshness = { kind: 'absent' };
const at = (slot: number, seq: bigint): Position => ({ slot, epoch: 5n, seq });

interface Situation {
  readonly freshness: readonly SlotFreshness[];
  readonly maxStalenessMs?: number;
  readonly atLeast?: readonly Position[];
  readonly localSeq?: bigint;
  readonly forwarded?: boolean;
  /** Per instance what it reports of each slot: staleness and seq; null: not held. */
  readonly others?: Readonly<Record<string, readonly ([stalenessMs: number, seq: bigint] | null)[]>>;
  readonly health?: Readonly<Record<string, Candidate['health']>>;
}

function choose(of: Situation): Choice {
  const request = {
    slots: of.freshness.map((_, slot) => slot),
    maxStalenessMs: of.maxStalenessMs ?? null,
    atLeast: of.atLeast ?? [],
    key: 'leaf-1',
    forwarded: of.forwarded ?? false,
  };
  const local = {
    zone: '',
    freshness: (slot: number) => of.freshness[slot]!,
    reached: ({ seq }: Position) => (of.localSeq ?? 0n) >= seq,
  };
  const others = Object.entries(of.others ?? {}).map(([instance, slots]): Candidate => {
    const reports = slots.map((one): ReportedSlot | undefined =>
      one === null ? undefined : { stalenessMs: one[0], epoch: 5n, seq: one[1] },
    );
    const idle = {
      http: 'host:1',
      zone: '',
      cost: 0,
      load: 0,
      inFlight: 0,
      health: of.health?.[instance] ?? 'ok',
    } as const;
    return { instance, ...idle, report: (slot) => reports[slot] };
  });
  return select(request, local, () => others);
}

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
    { kind: 'nobody', code: 'NOT_CAUGHT_UP', slot: 1, reason: 'loading' },
  ],
  [
    'a slot that is not held is not answered (S1)',
    [known(1), absent],
    null,
    { kind: 'nobody', code: 'NOT_CAUGHT_UP', slot: 1, reason: 'absent' },
  ],
])('alone: %s', (_name, freshness, maxStalenessMs, expected) => {
  expect(choose({ freshness, ...(maxStalenessMs === null ? {} : { maxStalenessMs }) })).toMatchObject(expected);
});

test('S3: whoever may answer itself does, however fresh others are', () => {
  expect(choose({ freshness: [known(50)], others: { b: [[0, 9n]] } })).toEqual({ kind: 'local', stalenessMs: 50 });
});

test.each<[string, Situation, object]>([
  [
    'a slot that is not held here is asked of those that hold it (S1)',
    { freshness: [absent], others: { a: [null], b: [[10, 1n]] } },
    { kind: 'forward', reason: 'absent', order: ['b'] },
  ],
  [
    'an instance that holds one of two slots is not asked (S1)',
    { freshness: [known(1), absent], others: { a: [[1, 1n], null], b: [null, [1, 1n]] } },
    { kind: 'nobody', reason: 'absent', code: 'NOT_CAUGHT_UP' },
  ],
  [
    'one that is loading asks others',
    { freshness: [incomplete], others: { b: [[10, 1n]] } },
    { kind: 'forward', reason: 'loading', order: ['b'] },
  ],
  [
    'whoever reports the bound comes first; the other may have become fresh since its report, and judges itself',
    { freshness: [absent], maxStalenessMs: 100, others: { a: [[101, 1n]], b: [[100, 1n]] } },
    { kind: 'forward', reason: 'absent', order: ['b', 'a'] },
  ],
  [
    'one that is stale asks those that are not',
    { freshness: [known(500)], maxStalenessMs: 100, others: { a: [[101, 1n]], b: [[100, 1n]] } },
    { kind: 'forward', reason: 'stale', order: ['b'] },
  ],
  [
    'S2: when all say they are too old, nobody answers',
    { freshness: [known(500)], maxStalenessMs: 100, others: { a: [[101, 1n]], b: [[300, 1n]] } },
    { kind: 'nobody', code: 'TOO_STALE' },
  ],
  [
    'one that is behind the cursor asks those that reported it',
    { freshness: [known(1)], atLeast: [at(0, 7n)], localSeq: 6n, others: { a: [[1, 6n]], b: [[1, 7n]] } },
    { kind: 'forward', reason: 'behind', order: ['b'] },
  ],
  [
    'when nobody reported the cursor we wait for it ourselves',
    { freshness: [known(1)], atLeast: [at(0, 7n)], localSeq: 6n, others: { a: [[1, 6n]] } },
    { kind: 'wait' },
  ],
  [
    'of a slot that is not held here the others may have come to the cursor since',
    { freshness: [absent], atLeast: [at(0, 7n)], others: { a: [[1, 6n]], b: [[1, 7n]] } },
    { kind: 'forward', reason: 'absent', order: ['b', 'a'] },
  ],
  [
    'the cursor was reached here',
    { freshness: [known(1)], atLeast: [at(0, 7n)], localSeq: 7n },
    { kind: 'local', stalenessMs: 1 },
  ],
  [
    'S4: what was forwarded once is not forwarded again',
    { freshness: [absent], forwarded: true, others: { b: [[1, 1n]] } },
    { kind: 'nobody', reason: 'absent' },
  ],
  [
    'one that is gone is not asked, one that failed lately is asked last',
    {
      freshness: [absent],
      others: { a: [[1, 1n]], b: [[1, 1n]], c: [[1, 1n]] },
      health: { a: 'gone', b: 'suspect' },
    },
    { kind: 'forward', order: ['c', 'b'] },
  ],
])('%s', (_name, situation, expected) => {
  const choice = choose(situation);
  const shown = choice.kind === 'forward' ? { ...choice, order: choice.order.map(({ instance }) => instance) } : choice;
  expect(shown).toMatchObject(expected);
});

const freshnesses = fc.oneof(
  fc.constant(absent),
  fc.constant(incomplete),
  fc.integer({ min: 0, max: 300 }).map(known),
  fc.integer({ min: 0, max: 300 }).map(estimated),
);
const situations: fc.Arbitrary<Situation> = fc.integer({ min: 1, max: 4 }).chain((slots) =>
  fc.record({
    freshness: fc.array(freshnesses, { minLength: slots, maxLength: slots }),
    maxStalenessMs: fc.integer({ min: 0, max: 300 }),
    atLeast: fc
      .array(fc.bigInt({ min: 0n, max: 9n }), { maxLength: slots })
      .map((seqs) => seqs.map((seq, n) => at(n, seq))),
    localSeq: fc.bigInt({ min: 0n, max: 9n }),
    others: fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.array(fc.option(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.bigInt({ min: 0n, max: 9n }))), {
        minLength: slots,
        maxLength: slots,
      }),
    ),
    health: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('ok', 'suspect', 'gone')),
  }),
);

test('S1, S2: whoever answers holds every slot, and nothing beyond the bound or before the cursor is answered here', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const choice = choose(situation);
      const mayAnswer =
        situation.freshness.every((one) => one.kind === 'known' && one.stalenessMs <= situation.maxStalenessMs!) &&
        situation.atLeast!.every(({ seq }) => situation.localSeq! >= seq);
      expect(choice.kind === 'local').toBe(mayAnswer);
      if (choice.kind !== 'forward') return;
      for (const { instance, health } of choice.order) {
        expect(situation.others![instance]!.every((report) => report !== null)).toBe(true);
        expect(health).not.toBe('gone');
      }
    }),
  );
});

test('an instance that may answer is asked whenever there is one and we may not ourselves', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const enough = Object.entries(situation.others!).filter(
        ([instance, slots]) =>
          situation.health![instance] !== 'gone' &&
          slots.every((report) => report !== null && report[0] <= situation.maxStalenessMs!) &&
          situation.atLeast!.every(({ slot, seq }) => slots[slot]![1] >= seq),
      );
      const choice = choose(situation);
      if (choice.kind === 'local' || enough.length === 0) return;
      expect(choice.kind).toBe('forward');
      const order = choice.kind === 'forward' ? choice.order : [];
      expect(order.map(({ instance }) => instance)).toEqual(
        expect.arrayContaining(enough.map(([instance]) => instance)),
      );
    }),
  );
});
