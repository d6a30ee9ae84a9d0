import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { rank } from '../../query-api/rank.ts';
import { type Candidate } from '../../query-api/candidate.ts';

const candidate = (instance: string, more: Partial<Candidate> = {}): Candidate => ({
  instance,
  http: '127.0.0.1:1',
  zone: '',
  cost: 0,
  load: 0,
  inFlight: 0,
  health: 'ok',
  report: () => undefined,
  ...more,
});

const namesOf = (order: readonly Candidate[]): string[] => order.map(({ instance }) => instance);
const ranked = (of: readonly Candidate[], key: string, zone = ''): string[] =>
  namesOf(rank(of, { key, zone, tierOf: () => 0 }));
const keys = Array.from({ length: 1_000 }, (_, n) => `leaf-${n}`);
const shareOf = (of: readonly Candidate[], zone: string, isFirst: (instance: string) => boolean): number =>
  keys.filter((key) => isFirst(ranked(of, key, zone)[0]!)).length / keys.length;

test('RK1: suspects come last, then the tier counts, and who has no tier or is gone is not asked', () => {
  const tiers = new Map<string, number | null>([
    ['a', 1],
    ['b', 0],
    ['c', null],
    ['d', 0],
    ['e', 0],
  ]);
  const of = ['a', 'b', 'c', 'd', 'e'].map((name) =>
    candidate(name, { health: name === 'd' ? 'suspect' : name === 'e' ? 'gone' : 'ok' }),
  );
  for (const key of keys.slice(0, 50)) {
    expect(namesOf(rank(of, { key, zone: '', tierOf: ({ instance }) => tiers.get(instance)! }))).toEqual([
      'b',
      'a',
      'd',
    ]);
  }
});

test('RK2: the own zone first, then the cheaper way', () => {
  const of = [
    candidate('far', { zone: 'c', cost: 9 }),
    candidate('near', { zone: 'b', cost: 1 }),
    candidate('own', { zone: 'a', cost: 5 }),
  ];
  for (const key of keys.slice(0, 50)) expect(ranked(of, key, 'a')).toEqual(['own', 'near', 'far']);
});

test.each([
  { healthy: 8, share: 1 },
  { healthy: 6, share: 1 }, // 75 % is still above 71 %
  { healthy: 5, share: 0.875 },
  { healthy: 2, share: 0.35 },
  { healthy: 0, share: 0 },
])('RK2: of a zone with $healthy of 8 healthy, $share of the keys stay in it', ({ healthy, share }) => {
  const own = Array.from({ length: 8 }, (_, n) =>
    candidate(`own-${n}`, { zone: 'a', health: n < healthy ? 'ok' : n % 2 === 0 ? 'gone' : 'suspect' }),
  );
  const other = Array.from({ length: 8 }, (_, n) => candidate(`other-${n}`, { zone: 'b' }));
  const stayed = shareOf([...own, ...other], 'a', (instance) => instance.startsWith('own'));
  expect(Math.abs(stayed - share)).toBeLessThan(0.06); // 4 sigma of 1,000 draws
});

test('RK3: keys spread evenly, and each goes to the same instance whatever others come and go', () => {
  const of = ['a', 'b', 'c', 'd'].map((name) => candidate(name));
  for (const one of of) {
    expect(Math.abs(shareOf(of, '', (instance) => instance === one.instance) - 0.25)).toBeLessThan(0.06);
  }
  for (const key of keys.slice(0, 100)) {
    expect(ranked(of.slice(1), key)).toEqual(ranked(of, key).filter((name) => name !== 'a'));
  }
});

test('RK3: one that has more in flight, or reports more load, than a quarter above the others is passed over', () => {
  const others = [candidate('b', { inFlight: 2, load: 200 }), candidate('c', { inFlight: 2, load: 200 })];
  expect(shareOf([candidate('a', { inFlight: 2, load: 300 }), ...others], '', (one) => one === 'a')).toBeGreaterThan(
    0.2,
  );
  expect(shareOf([candidate('a', { inFlight: 4, load: 200 }), ...others], '', (one) => one === 'a')).toBe(0);
  expect(shareOf([candidate('a', { inFlight: 2, load: 800 }), ...others], '', (one) => one === 'a')).toBe(0);
});

test('RK3: however requests come, nobody gets more than a quarter above the share of all that are in flight', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 80 }),
      (count, asked) => {
        const inFlight = new Map(Array.from({ length: count }, (_, n) => [`query-${n}`, 0]));
        for (const [n, key] of asked.entries()) {
          const of = [...inFlight].map(([name, open]) => candidate(name, { inFlight: open }));
          const first = ranked(of, key)[0]!;
          inFlight.set(first, inFlight.get(first)! + 1);
          expect(inFlight.get(first)).toBeLessThanOrEqual(Math.ceil((1.25 * (n + 1)) / count));
        }
      },
    ),
  );
});
