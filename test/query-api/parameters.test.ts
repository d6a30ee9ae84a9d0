import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { HoldfastError } from '../../core/errors.ts';
import {
  choice,
  formatPageToken,
  integer,
  labelFilters,
  pageToken,
  parseParameters,
  single,
} from '../../query-api/parameters.ts';

const parse = (query: string) => parseParameters(`/x?${query}`, ['path', 'label', 'limit', 'next', '__proto__'], 2);
const message = (work: () => unknown): string => {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof HoldfastError && thrown.code === 'PARAMETER_INVALID') return thrown.message;
    throw thrown;
  }
  return 'accepted';
};

test('values come decoded, in order, under their names', () => {
  const parameters = parse('path=%2Fa%5Bk%3Dv%5D&path=/b+c&&label=a=b=c&__proto__=x');
  expect(parameters.get('path')).toEqual(['/a[k=v]', '/b c']);
  expect(labelFilters(parameters)).toEqual([{ name: 'a', value: 'b=c' }]);
  expect(single(parameters, '__proto__')).toBe('x');
  expect(single(parameters, 'toString')).toBeUndefined();
  expect(parseParameters('/x', [], 1).size).toBe(0);
});

test.each([
  ['limt=5', 'limt is not a parameter of this route; this route takes path, label'],
  ['path=%zz', 'malformed percent-encoding'],
  ['path=%ff', 'malformed percent-encoding'],
  ['path=1&path=2&path=3', 'path may be given at most 2 times'],
])('%s is refused by name', (query, expected) => {
  expect(message(() => parse(query))).toContain(expected);
});

test.each(['', '-1', '1.5', '1e3', '0', '11', '99999999999999999999', ' 5'])(
  'limit=%p is no whole number of the range',
  (text) => {
    const parameters = parse(`limit=${encodeURIComponent(text)}`);
    expect(message(() => integer(parameters, 'limit', { min: 1, max: 10 }))).toBe(
      'limit must be a whole number from 1 to 10',
    );
  },
);

test('a choice names what it may be', () => {
  expect(message(() => choice(parse('path=c'), 'path', ['a', 'b']))).toBe('path must be one of a, b');
  expect(choice(parse('path=a'), 'path', ['a', 'b'])).toBe('a');
  expect(message(() => single(parse('path=a&path=b'), 'path'))).toBe('path may be given only once');
  expect(message(() => labelFilters(parse('label=site')))).toContain('name=value');
});

test('a page token comes back as it was, whatever the names, and anything else is refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (device, key) => {
      expect(pageToken(parse(`next=${formatPageToken([device, key])}`), 2)).toEqual([device, key]);
    }),
  );
  for (const text of ['', 'x', 'e30', formatPageToken(['a']), Buffer.from('[1,2]').toString('base64url')]) {
    expect(message(() => pageToken(parse(`next=${text}`), 2))).toContain('not a page token');
  }
});
