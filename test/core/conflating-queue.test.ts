import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { ConflatingQueue, type ConflatingQueueOptions } from '../../core/conflating-queue.ts';

interface Value {
  readonly n: number;
  readonly mayMerge: boolean;
}

const newest = (queued: Value, incoming: Value): Value | null =>
  queued.mayMerge && incoming.mayMerge ? incoming : null;
const numbers = { limit: 100, place: 'first', merge: (_: number, incoming: number) => incoming } as const;

/** What the queue should be: an array, searched from its end. */
class PlainQueue {
  entries: { key: string; value: Value; merged: number; sealed: boolean }[] = [];
  readonly #options: Pick<ConflatingQueueOptions<Value>, 'limit' | 'place'>;

  constructor(options: Pick<ConflatingQueueOptions<Value>, 'limit' | 'place'>) {
    this.#options = options;
  }

  put(key: string, value: Value): 'queued' | 'merged' | 'full' {
    const found = this.entries.findLast((entry) => entry.key === key);
    if (found?.sealed === false && found.value.mayMerge && value.mayMerge) {
      found.value = value;
      found.merged += 1;
      if (this.#options.place === 'last') this.entries = [...this.entries.filter((entry) => entry !== found), found];
      return 'merged';
    }
    if (this.entries.length >= this.#options.limit) return 'full';
    this.entries.push({ key, value, merged: 0, sealed: false });
    return 'queued';
  }
}

type Step =
  | { readonly kind: 'put'; readonly key: string; readonly mayMerge: boolean }
  | { readonly kind: 'take' | 'seal' | 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.constantFrom('da', 'db', 'ea', 'eb'), mayMerge: fc.boolean() }) },
  { weight: 5, arbitrary: fc.constant({ kind: 'take' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'seal' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
); // prettier-ignore

describe('against an array searched from its end', () => {
  test.each(['first', 'last'] as const)(
    'Q1–Q4, place %s: same answers, same entries, and the counts add up',
    (place) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (steps, limit) => {
          const queue = new ConflatingQueue<string, Value>({ limit, place, merge: newest });
          const model = new PlainQueue({ limit, place });
          const seen = new Map<string, number>();
          let produced = 0;
          for (const [n, { kind, ...put }] of steps.entries()) {
            if (kind === 'put' && 'key' in put) {
              const value = { n, mayMerge: put.mayMerge };
              const [of = '', key = ''] = put.key;
              const wouldMerge = queue.wouldMerge(of, key, value);
              const outcome = queue.put(of, key, value);
              expect(wouldMerge).toBe(outcome === 'merged');
              expect(outcome).toBe(model.put(put.key, value));
              if (outcome !== 'full') produced += 1;
            } else if (kind === 'take') {
              const expected = model.entries.shift();
              const peeked = queue.peek();
              const taken = queue.take();
              expect(taken).toBe(peeked);
              expect(taken && { key: taken.of + taken.key, value: taken.value, merged: taken.merged }).toEqual(
                expected && { key: expected.key, value: expected.value, merged: expected.merged },
              );
              if (taken !== undefined) {
                expect(taken.value.n).toBeGreaterThan(seen.get(taken.of + taken.key) ?? -1); // Q2
                seen.set(taken.of + taken.key, taken.value.n);
              }
            } else if (kind === 'seal') {
              queue.seal();
              for (const entry of model.entries) entry.sealed = true;
            } else {
              expect(queue.clear()).toBe(model.entries.length);
              model.entries = [];
            }
            expect(queue.length).toBe(model.entries.length);
            expect(queue.length).toBeLessThanOrEqual(limit); // Q4
            expect(queue.delivered + queue.merged + queue.abandoned + queue.length).toBe(produced); // Q1
            expect(queue.produced).toBe(produced);
          }
        }),
        { numRuns: 300 },
      );
    },
  );
});

test('Q3: what was sealed is delivered as it was, and the next value makes a new entry behind it', () => {
  const queue = new ConflatingQueue<string, number>(numbers);
  queue.put('d', 'a', 1);
  queue.put('d', 'a', 2);
  queue.seal();
  expect(queue.put('d', 'a', 3)).toBe('queued');
  expect(queue.put('d', 'a', 4)).toBe('merged');
  expect([queue.take(), queue.take()].map((taken) => [taken?.value, taken?.merged])).toEqual([
    [2, 1],
    [4, 1],
  ]);
  expect(queue.take()).toBeUndefined();
});

test.each([
  ['first', ['a', 'b']],
  ['last', ['b', 'a']],
] as const)('a merged entry stands %s', (place, order) => {
  const queue = new ConflatingQueue<string, number>({ ...numbers, place });
  for (const key of ['a', 'b', 'a']) queue.put('d', key, 1);
  expect([queue.take()?.key, queue.take()?.key]).toEqual(order);
});

test('a full queue merges what it has and refuses the rest', () => {
  const queue = new ConflatingQueue<string, number>({ ...numbers, limit: 1 });
  expect([queue.put('d', 'a', 1), queue.put('d', 'b', 2), queue.put('d', 'a', 3)]).toEqual([
    'queued',
    'full',
    'merged',
  ]);
  expect(queue.produced).toBe(2);
});

describe('S12: 10,000 leaves change at 50,000/s, the reader takes 500/s, for 60 s', () => {
  interface Load {
    readonly leaves: number;
    readonly limit: number;
    readonly merge: (queued: number, incoming: number) => number | null;
  }

  /** Every leaf changes 300 times; the reader takes one entry in 100 changes, and the rest at the end. */
  function run({ leaves, limit, merge }: Load) {
    const queue = new ConflatingQueue<number, number>({ limit, place: 'first', merge });
    const server = new Array<number>(leaves).fill(0);
    const client = new Array<number>(leaves).fill(0);
    let longest = 0;
    let stoodFor = 0;
    let refused = 0;
    const take = (): boolean => {
      const taken = queue.take();
      if (taken === undefined) return false;
      client[taken.key] = taken.value;
      stoodFor += 1 + taken.merged;
      return true;
    };
    for (let change = 1; change <= leaves * 300; change += 1) {
      const leaf = (change * 7919) % leaves; // all of them, in an order that is not the reader's
      server[leaf] = change;
      if (queue.put('d', leaf, change) === 'full') refused += 1;
      if (change % 100 === 0) take();
      longest = Math.max(longest, queue.length);
    }
    while (take());
    const same = client.every((value, leaf) => value === server[leaf]);
    return { longest, same, stoodFor, refused, produced: queue.produced };
  }

  test('entries stay below the number of leaves, the client ends with the server’s state and knows what it missed', () => {
    const found = run({ leaves: 10_000, limit: 10_000, merge: (_, incoming) => incoming });
    expect(found.longest).toBeLessThanOrEqual(10_000);
    expect(found).toMatchObject({ same: true, refused: 0, stoodFor: 3_000_000, produced: 3_000_000 });
  });

  test('the control: a plain queue holds about 300 times as many (all at a tenth of the size)', () => {
    const { longest } = run({ leaves: 1_000, limit: Number.POSITIVE_INFINITY, merge: () => null });
    expect(longest).toBeGreaterThan(290 * 1_000);
  });
});

test('Q5: an entry is put, merged and moved in a time that does not grow with the queue', () => {
  const steps = (length: number): number => {
    const queue = new ConflatingQueue<number, number>({ ...numbers, limit: length, place: 'last' });
    for (let key = 0; key < length; key += 1) queue.put('d', key, 0);
    let merges = 0;
    // The oldest is always the one that moves: a search or a shift would cost `length` each time.
    for (let change = 0; change < 200_000; change += 1)
      if (queue.put('d', change % length, change) === 'merged') merges += 1;
    return merges;
  };
  expect(steps(100_000)).toBe(200_000); // by shifting an array this would run into the timeout
});
