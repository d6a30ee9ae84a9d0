import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { NumberLists } from '../../core/number-lists.ts';

test('lists stay what they were while others come and go, and places are used again (NL1)', () => {
  const length = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constantFrom(5_000, 16_384, 16_385));
  fc.assert(
    fc.property(fc.array(fc.tuple(length, fc.boolean()), { maxLength: 40 }), (lists) => {
      const table = new NumberLists();
      const kept: { place: number; list: number[] }[] = [];
      for (const [index, [count, frees]] of lists.entries()) {
        const list = Array.from({ length: count }, (_, n) => index * 100_000 + n);
        kept.push({ place: table.add(list), list });
        if (!frees) continue;
        const [gone] = kept.splice(index % kept.length, 1);
        table.free(gone!.place, gone!.list.length);
      }
      for (const { place, list } of kept) {
        const ends = list.length < 2 ? list : [list[0], list.at(-1)];
        expect(ends.map((_, end) => table.at(place, end === 0 ? 0 : list.length - 1))).toEqual(ends);
      }
    }),
    { numRuns: 50 },
  );
  const table = new NumberLists();
  const place = table.add([1, 2, 3]);
  table.free(place, 3);
  expect(table.add([4, 5])).not.toBe(place);
  expect(table.add([4, 5, 6])).toBe(place);
});
