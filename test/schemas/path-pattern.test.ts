import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { parsePath, type PathElem } from '../../schemas/path.ts';
import { compilePattern, hasWildcard } from '../../schemas/path-pattern.ts';

const matches = (pattern: string, path: string): boolean =>
  compilePattern(parsePath(pattern)).matches(parsePath(path).elems);

const octets = '/interfaces/interface[name=et-0][unit=1]/state/counters/in-octets';

test.each<[string, string, boolean]>([
  // P8: the node and everything below
  ['/', octets, true],
  ['/', '/', true],
  ['/interfaces', octets, true],
  ['/interfaces/interface/state/counters/in-octets', octets, true],
  ['/interfaces/interface/state/counters/in-octets/x', octets, false],
  ['/interface', octets, false],
  ['/a', '/', false],
  // P7: omitted, given and mixed keys
  ['/interfaces/interface[name=et-0]', octets, true],
  ['/interfaces/interface[unit=1]', octets, true],
  ['/interfaces/interface[name=et-1]', octets, false],
  ['/interfaces/interface[name=*][unit=1]', octets, true],
  ['/interfaces/interface[name=*][unit=2]', octets, false],
  ['/interfaces/interface[other=*]', octets, false],
  // P7: wildcards
  ['/interfaces/*/state', octets, true],
  ['/*/*[name=et-0]', octets, true],
  ['/*/*[name=et-1]', octets, false],
  ['/*', '/', false],
  ['/...', octets, true],
  ['/...', '/', true],
  ['/.../counters', octets, true],
  ['/.../in-octets', octets, true],
  ['/.../out-octets', octets, false],
  ['/interfaces/.../interface', octets, true],
  ['/interfaces/.../state/.../in-octets', octets, true],
  ['/.../state/.../state', octets, false],
  ['/.../a/b', '/a/a/a/b', true],
  ['/.../a/*/c', '/a/a/b/c', true],
  // N6, N18
  ['/a/b[k=c]/d', '/a/b/c/d', false],
  ['/a[__proto__=x]', '/a[__proto__=x]', true],
  ['/a[constructor=*]', '/a', false],
])('%s on %s: %s', (pattern, path, expected) => {
  expect(matches(pattern, path)).toBe(expected);
});

test('N6: the origin of a pattern is normalised', () => {
  expect(compilePattern(parsePath('/a')).origin).toBe('openconfig');
  expect(compilePattern(parsePath('srl:/a')).origin).toBe('srl');
});

test('P9: wildcards are seen wherever they stand', () => {
  const texts = ['/a/*', '/...', '/a[k=*]/b', '/a/b', '/a*', '/a[k=a*]'];
  expect(texts.map((text) => hasWildcard(parsePath(text).elems))).toEqual([true, true, true, false, false, false]);
});

test('the matcher agrees with the obvious one', () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 7 });
  const steps = fc.array(fc.constantFrom('a', 'b', '*', '...'), { maxLength: 6 });
  const obvious = (pattern: readonly string[], path: readonly string[]): boolean => {
    const [step, ...rest] = pattern;
    if (step === undefined) return true;
    if (step === '...') return path.some((_, at) => obvious(rest, path.slice(at))) || obvious(rest, []);
    return path.length > 0 && (step === '*' || step === path[0]) && obvious(rest, path.slice(1));
  };
  const elems = (list: readonly string[]): PathElem[] => list.map((name) => ({ name, keys: new Map() }));
  fc.assert(
    fc.property(steps, names, (pattern, path) => {
      const compiled = compilePattern({ origin: '', target: '', elems: elems(pattern) });
      expect(compiled.matches(elems(path))).toBe(obvious(pattern, path));
    }),
    { numRuns: 1000 },
  );
});

test('W3: a pattern made to be slow is not', () => {
  const pattern = compilePattern(parsePath(`${'/.../a'.repeat(200)}/b`));
  const path = parsePath('/a'.repeat(2000)).elems;
  expect(pattern.matches(path)).toBe(false);
});
