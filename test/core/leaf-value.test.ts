import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { encodeInline, inlineKinds, InlineReader } from '../../core/leaf-value.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';

const again = (bytes: Uint8Array): Buffer | null => {
  const reader = new InlineReader();
  const kind = reader.read(bytes);
  return kind === inlineKinds.none ? null : encodeInline(kind, reader.low | 0, reader.high | 0);
};

test.each<[string, TypedValue]>([
  ['uint 0', { kind: 'uint', value: 0n }],
  ['uint 127', { kind: 'uint', value: 127n }],
  ['uint 128', { kind: 'uint', value: 128n }],
  ['uint 2^32 - 1', { kind: 'uint', value: 2n ** 32n - 1n }],
  ['uint 2^53 + 1', { kind: 'uint', value: 2n ** 53n + 1n }],
  ['uint 2^64 - 1', { kind: 'uint', value: 2n ** 64n - 1n }],
  ['int -1', { kind: 'int', value: -1n }],
  ['int -2^63', { kind: 'int', value: -(2n ** 63n) }],
  ['true', { kind: 'bool', value: true }],
  ['false', { kind: 'bool', value: false }],
  ['float -0', { kind: 'float', value: -0 }],
  ['double NaN', { kind: 'double', value: NaN }],
  ['double 5e-324', { kind: 'double', value: 5e-324 }],
])('%s is inline, and comes back as the very bytes (LV1)', (_name, value) => {
  const bytes = encodeTypedValue(value);
  expect(again(bytes)).toEqual(bytes);
});

test('every 64-bit integer is inline and comes back (LV1)', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(63), (value, shift) => {
      const bytes = encodeTypedValue({ kind: 'uint', value: value >> BigInt(shift) });
      expect(again(bytes)).toEqual(bytes);
    }),
  );
});

test('any bytes are inline only if they come back as they were (LV1)', () => {
  const bytes = fc
    .tuple(
      fc.constantFrom(0x0a, 0x10, 0x18, 0x20, 0x35, 0x71),
      fc.array(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x81, 0xff), { maxLength: 12 }),
    )
    .map(([tag, rest]) => Buffer.from([tag, ...rest]));
  fc.assert(
    fc.property(bytes, (given) => {
      const back = again(given);
      if (back !== null) expect(back).toEqual(given);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['nothing', []],
  ['a tag alone', [0x18]],
  ['a longer varint', [0x18, 0x80, 0x00]],
  ['a varint without its end', [0x18, 0x80]],
  ['bits beyond 64', [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]],
  ['a bool of 2', [0x20, 0x02]],
  ['two fields', [0x18, 0x01, 0x18, 0x02]],
  ['a short float', [0x35, 0, 0, 0]],
  ['a string', [0x0a, 0x02, 0x55, 0x50]],
])('%s is not inline (LV1)', (_name, bytes) => {
  expect(again(Buffer.from(bytes))).toBeNull();
});
