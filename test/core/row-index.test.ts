import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { chunkMask, LeafColumns } from '../../core/leaf-columns.ts';
import { RowIndex } from '../../core/row-index.ts';

function createIndex() {
  const columns = new LeafColumns();
  const index = new RowIndex(columns);
  const add = (path: number) => {
    const row = columns.take();
    columns.chunk(row).path[row & chunkMask] = path;
    index.add(path, row);
    return row;
  };
  const remove = (path: number) => {
    const row = index.find(path);
    index.remove(path);
    columns.free(row);
  };
  return { index, add, remove };
}

test('it finds what a Map finds, whatever is added and removed', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(60), { maxLength: 200 }), (paths) => {
      const { index, add, remove } = createIndex();
      const model = new Map<number, number>();
      for (const path of paths) {
        if (model.delete(path)) remove(path);
        else model.set(path, add(path));
      }
      for (let path = 0; path <= 60; path += 1) expect(index.find(path)).toBe(model.get(path) ?? -1);
      const rows: number[] = [];
      index.forEach((row) => rows.push(row));
      expect(rows.sort()).toEqual([...model.values()].sort());
      expect(index.size).toBe(model.size);
    }),
  );
});

test('beyond one table it splits and goes on finding, each row once (RI1)', () => {
  const { index, add, remove } = createIndex();
  const count = 80_000;
  for (let path = 0; path < count; path += 1) add(path * 3);
  let seen = 0;
  index.forEach(() => (seen += 1));
  expect([index.size, seen]).toEqual([count, count]);
  let missed = 0;
  for (let path = 0; path < count; path += 1)
    if (index.find(path * 3) !== path || index.find(path * 3 + 1) !== -1) missed += 1;
  expect(missed).toBe(0);
  for (let path = 0; path < count; path += 1) if (path % 2 === 0) remove(path * 3);
  for (let path = 0; path < count; path += 1) if (index.find(path * 3) >= 0 !== (path % 2 === 1)) missed += 1;
  expect([index.size, missed]).toEqual([count / 2, 0]);
  index.clear();
  expect([index.size, index.find(3)]).toEqual([0, -1]);
});
