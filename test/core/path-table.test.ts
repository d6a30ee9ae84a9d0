import { expect, test } from '@jest/globals';
import { PathSelection, PathTable } from '../../core/path-table.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';

const select = (table: PathTable, ...paths: string[]) =>
  new PathSelection(
    table,
    paths.map((path) => compilePattern(parsePath(path))),
  );

test('a key has one id, ids are dense, and what was interned can be read back (P1)', () => {
  const table = new PathTable();
  const keys = ['openconfig:/a/b[k=__proto__]', 'cli:/a', 'openconfig:/a'];
  expect(keys.map((key) => table.intern(key))).toEqual([0, 1, 2]);
  expect(keys.map((key) => table.intern(key))).toEqual([0, 1, 2]);
  expect([table.size, table.key(1), table.origin(1), table.path(1)]).toEqual([3, 'cli:/a', 'cli', '/a']);
  expect(table.elems(0)[1]?.keys.get('k')).toBe('__proto__');
  expect(() => table.key(3)).toThrow(RangeError);
  expect(() => table.intern('no origin')).toThrow('origin');
});

test('a selection covers what one of its patterns covers, also paths that come later', () => {
  const table = new PathTable();
  const selection = select(table, '/a/*/c', 'cli:/');
  const covered = (key: string) => selection.covers(table.intern(key));
  expect(covered('openconfig:/a/b/c/d')).toBe(true);
  expect(covered('openconfig:/a/b')).toBe(false);
  for (let n = 0; n < 1_000; n += 1) table.intern(`openconfig:/x[n=${n}]`);
  expect(covered('cli:/anything')).toBe(true);
  expect(covered('openconfig:/a/b')).toBe(false);
});
