import { expect, test } from '@jest/globals';
import { formatDuration, formatTable } from '../../cli/table-output.ts';

test('columns are as wide as their widest cell; the last is not padded', () => {
  expect(
    formatTable(
      ['device', 'state'],
      [
        ['leaf-1', 'synced'],
        ['a-much-longer-name', '-'],
      ],
    ),
  ).toBe('DEVICE              STATE\nleaf-1              synced\na-much-longer-name  -');
});

test('what a device wrote cannot steer the terminal', () => {
  expect(formatTable(['path'], [['/a\u001b[2J\u009b31m\u202e\n/b']])).toBe(
    'PATH\n/a\\u001b[2J\\u009b31m\\u202e\\u000a/b',
  );
});

test('a table of very many rows, with empty cells at the end', () => {
  const rows = Array.from({ length: 200_000 }, (_, n) => [String(n), '']);
  expect(formatTable(['a', 'b'], rows).split('\n').slice(0, 3)).toEqual(['A       B', '0', '1']);
});

test.each([
  [412, '412 ms'],
  [3_200, '3.2 s'],
  [300_000, '5 min'],
  [7_200_000, '2 h'],
  [259_200_000, '3 d'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
