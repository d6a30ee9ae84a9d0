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

test.each([
  [412, '412 ms'],
  [3_200, '3.2 s'],
  [300_000, '5 min'],
  [7_200_000, '2 h'],
  [259_200_000, '3 d'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
