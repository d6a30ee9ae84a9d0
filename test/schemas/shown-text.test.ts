import { expect, test } from '@jest/globals';
import { shownText } from '../../schemas/shown-text.ts';

test('a text is quoted, a long one cut, and nothing in it ends a line', () => {
  expect(shownText('a"b\nc')).toBe('"a\\"b\\nc"');
  expect(shownText('x'.repeat(200))).toBe(`"${'x'.repeat(200)}"`);
  expect(shownText('x'.repeat(201))).toBe(`"${'x'.repeat(200)}…"`);
});
