import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { cachedName } from '../../schemas/name-cache.ts';

const cached = (text: string): string | undefined => {
  const bytes = Buffer.from(`<${text}>`, 'utf8');
  return cachedName(bytes, 1, bytes.length - 1);
};

test('short ASCII comes back as itself, whatever was there before', () => {
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 48 });
  fc.assert(
    fc.property(ascii, (text) => expect([cached(text), cached(text)]).toEqual([text, text])),
    { numRuns: 500 },
  );
  // far more names than places: every one is thrown out by others between the two rounds
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 20_000; n++) if (cached(`et-${n}`) !== `et-${n}`) throw new Error(`et-${n}`);
  }
});

test('other text and long text is left to the caller', () => {
  expect(cached('é')).toBeUndefined();
  expect(cached('a'.repeat(49))).toBeUndefined();
  expect(cachedName(Buffer.from([0xff]), 0, 1)).toBeUndefined();
});
