import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { verbatimJson } from '../../schemas/json-text.ts';

test('V10, V17: JSON is copied without its outer blanks, digits and all', () => {
  expect(verbatimJson(Buffer.from('\n {"a": 18446744073709551616, "b":1.0e400}\r\n'))).toBe(
    '{"a": 18446744073709551616, "b":1.0e400}',
  );
  expect(verbatimJson(Buffer.from('"\u00a0"'))).toBe('"\u00a0"');
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(verbatimJson(Buffer.from(` ${text}\n`))).toBe(text);
    }),
  );
});

test.each(['', ' ', '{', '[1,]', 'NaN', '01', 'nul', '1 2', '\u00a01', '"a\nb"'])('V16: %j is no JSON', (text) => {
  expect(verbatimJson(Buffer.from(text))).toBeUndefined();
});

test('V16, L5: JSON that is not UTF-8 is no JSON; a real U+FFFD is', () => {
  expect(verbatimJson(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined();
  expect(verbatimJson(Buffer.from('"\ufffd"'))).toBe('"\ufffd"');
});
