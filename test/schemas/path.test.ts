import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  type Path,
  type PathElem,
  PathMalformed,
  compareCodePoints,
  formatElems,
  formatPath,
  normaliseOrigin,
  parsePath,
  rootPath,
} from '../../schemas/path.ts';
import { anyElems, anyPath, anyText } from './arbitrary.ts';

const elem = (name: string, keys: Record<string, string> = {}): PathElem => ({
  name,
  keys: new Map(Object.entries(keys)),
});
const path = (origin: string, ...elems: PathElem[]): Path => ({ origin, target: '', elems });
const foo = (value: string, key = 'name'): Path => path('', elem('foo', { [key]: value }));

describe('parsing', () => {
  test.each<[string, string, Path]>([
    ['N2', '/', rootPath],
    ['N2', '', rootPath],
    ['', '//', path('', elem(''))],
    [
      'P1',
      '/interface[name=Ethernet1/2/3]/state',
      path('', elem('interface', { name: 'Ethernet1/2/3' }), elem('state')),
    ],
    ['P1', '/foo[name=2001:db8::1/64]', foo('2001:db8::1/64')],
    ['P1', '/foo[name=a b"c.d=e]', foo('a b"c.d=e')],
    ['P2', '/foo[name=\\]]', foo(']')],
    ['P2', '/foo[name=[]', foo('[')],
    ['P2', '/foo[name=[\\\\\\]]', foo('[\\]')],
    ['P3', '/foo[name=]/bar', path('', elem('foo', { name: '' }), elem('bar'))],
    ['P4', '/foo[b=2][a=1]', path('', elem('foo', { a: '1', b: '2' }))],
    ['P5', 'openconfig:/a/b', path('openconfig', elem('a'), elem('b'))],
    ['P5', 'openconfig:/', path('openconfig')],
    ['P5', 'oc-if:interfaces/interface', path('', elem('oc-if:interfaces'), elem('interface'))],
    ['P5', '/oc-if:interfaces', path('', elem('oc-if:interfaces'))],
    ['P5', 'a/b:/c', path('', elem('a'), elem('b:'), elem('c'))],
    ['P5', 'foo[name=x:/y]/b', path('', elem('foo', { name: 'x:/y' }), elem('b'))],
    ['P7', '/.../a/*[k=*]', path('', elem('...'), elem('a'), elem('*', { k: '*' }))],
    ['', 'a/b', path('', elem('a'), elem('b'))],
    ['', '/a/b/', path('', elem('a'), elem('b'))],
    ['N3', '/[k=v]', path('', elem('', { k: 'v' }))],
    ['N18', '/foo[__proto__=x]', path('', { name: 'foo', keys: new Map([['__proto__', 'x']]) })],
    // known parsers disagree about these
    ['', '/foo[name=a\\\\b]', foo('a\\b')],
    ['', '/foo[name=a\\nb\\u00e9\\U0001F600\\r]', foo('a\nbé\u{1F600}\r')],
    ['', '/foo[name=\\ud83d\\ude00]', foo('\u{1F600}')],
    ['', '/foo[name=a=b]', foo('a=b')],
    ['', '/foo[ name=a]', foo('a', ' name')],
    ['', '/foo[a=1][a=2]', foo('2', 'a')],
    ['', '/a//b', path('', elem('a'), elem(''), elem('b'))],
    ['', '/foo\\/bar/baz', path('', elem('foo/bar'), elem('baz'))],
    ['', '/foo\\[a\\]', path('', elem('foo[a]'))],
    ['', '/foo[a\\=b=c]', foo('c', 'a=b')],
    ['', 'a\\:b:/c', path('a:b', elem('c'))],
    ['', 'a\nb', path('', elem('a\nb'))],
  ])('%s %j', (_rule, text, expected) => {
    expect(parsePath(text)).toEqual(expected);
  });

  test.each<[string, number]>([
    ['/a[', 2],
    ['/a[b', 2],
    ['/a[b=c', 2],
    ['/a[=c]', 3],
    ['/a[b]', 4],
    ['/foo[a=1]x', 9],
    ['/foo[a=1]]', 9],
    ['/a]', 2],
    ['/a/b]/c', 4],
    ['/foo[name=a\\b]', 11],
    ['/foo[name=a\\', 11],
    ['/a\\u12g4', 2],
    ['/a\\u12', 2],
    ['/a\\ud800', 2],
    ['/a\\ud800\\u0041', 2],
    ['/a\\U00110000', 2],
    [':/a', 0],
    ['o\\x:/a', 1],
  ])('P6: %j is an error at %i', (text, position) => {
    let thrown: unknown;
    try {
      parsePath(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PathMalformed);
    expect((thrown as PathMalformed).position).toBe(position);
    expect((thrown as PathMalformed).message).toContain(`position ${position}`);
  });

  test('P6: any text is a path or an error with a position inside it', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        try {
          const parsed = parsePath(a + b);
          expect(parsePath(formatPath(parsed))).toEqual(parsed);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PathMalformed);
          const { position } = thrown as PathMalformed;
          expect(position).toBeGreaterThanOrEqual(0);
          expect(position).toBeLessThanOrEqual((a + b).length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('printing', () => {
  test.each<[Path, string]>([
    [rootPath, '/'],
    [path(''), '/'],
    [path('openconfig'), 'openconfig:/'],
    [path('', elem('')), '//'],
    [path('', elem('a'), elem('')), '/a//'],
    [path('', elem('', { k: 'v' })), '/[k=v]'],
    [path('', elem('foo', { b: '2', a: '1' })), '/foo[a=1][b=2]'],
    [foo('[\\]\n\r/='), '/foo[name=[\\\\\\]\\n\\r/=]'],
    [path('', elem('a/b[c]\\')), '/a\\/b\\[c\\]\\\\'],
    [path('', elem('a', { 'k=]\\': 'v' })), '/a[k\\=\\]\\\\=v]'],
    [path('a:b/c', elem('d')), 'a\\:b\\/c:/d'],
    [path('', elem('a:')), '/a:'],
  ])('%j', (value, text) => {
    expect(formatPath(value)).toBe(text);
  });

  test('P4: keys are in code-point order of their names, which is not UTF-16 order', () => {
    const keys = new Map([
      ['\u{1F600}', '3'],
      ['\uffee', '2'],
      ['a', '1'],
    ]);
    expect(formatElems([{ name: 'x', keys }])).toBe('/x[a=1][\uffee=2][\u{1F600}=3]');
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const byBytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareCodePoints(a, b))).toBe(byBytes);
      }),
    );
  });

  test('P-a: what is printed parses to the same path', () => {
    fc.assert(
      fc.property(anyPath, (said) => {
        expect(parsePath(formatPath(said))).toEqual(said);
      }),
      { numRuns: 1000 },
    );
  });

  test('P-a: different paths print differently, one path prints one way', () => {
    const reversed = (elems: readonly PathElem[]): PathElem[] =>
      elems.map(({ name, keys }) => ({ name, keys: new Map([...keys].reverse()) }));
    fc.assert(
      fc.property(anyElems, anyElems, (a, b) => {
        expect(formatElems(a) === formatElems(b)).toBe(equal(a, b));
        expect(formatElems(reversed(a))).toBe(formatElems(a));
      }),
    );
  });
});

function equal(a: readonly PathElem[], b: readonly PathElem[]): boolean {
  const flat = (elems: readonly PathElem[]): string =>
    JSON.stringify(elems.map(({ name, keys }) => [name, [...keys].sort(([x], [y]) => (x < y ? -1 : 1))]));
  return flat(a) === flat(b);
}

test('N6: no origin means openconfig', () => {
  expect(normaliseOrigin('')).toBe('openconfig');
  expect(normaliseOrigin('srl')).toBe('srl');
});
