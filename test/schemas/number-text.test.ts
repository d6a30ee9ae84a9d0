import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { formatDecimal, formatDouble, formatFloat } from '../../schemas/number-text.ts';

test('V6: the shortest text that is the same float32', () => {
  const texts = [0.1, -0, 3.4028234663852886e38, 1.401298464324817e-45, 5.25, 1 / 3, 1e21].map((value) =>
    formatFloat(Math.fround(value)),
  );
  expect(texts).toEqual(['0.1', '-0', '3.4028235e+38', '1e-45', '5.25', '0.33333334', '1e+21']);
});

test('V6, V14: floats and doubles read back as themselves', () => {
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      (f, d) => {
        expect(Math.fround(Number(JSON.parse(formatFloat(f))))).toBe(f);
        expect(JSON.parse(formatDouble(d))).toBe(d);
        expect(formatFloat(f).length).toBeLessThanOrEqual(formatDouble(f).length);
      },
    ),
  );
});

test.each<[bigint, number, string]>([
  [0n, 0, '0'],
  [0n, 3, '0.000'],
  [5n, 1, '0.5'],
  [-5n, 1, '-0.5'],
  [-12345n, 2, '-123.45'],
  [1n, 18, '0.000000000000000001'],
  [9223372036854775807n, 18, '9.223372036854775807'],
  [7n, 4_000_000_000, '7e-4000000000'],
])('V7: %s and %s make %s', (digits, precision, text) => {
  expect(formatDecimal(digits, precision)).toBe(text);
});

test('V7: no digit is lost', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat({ max: 18 }), (digits, precision) => {
      const text = formatDecimal(digits, precision);
      expect(BigInt(text.replace('.', ''))).toBe(digits);
      expect(text.split('.')[1]?.length ?? 0).toBe(precision);
    }),
  );
});
