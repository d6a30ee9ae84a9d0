import { expect, test } from '@jest/globals';
import { PathSelection, PathTable } from '../../core/path-table.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { RecordMalformed } from '../../schemas/position.ts';

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
});

test('what is no path has no id (P3)', () => {
  const table = new PathTable();
  for (const key of [
    'no origin',
    '/a',
    ':/a',
    'openconfig:/a[',
    'openconfig:/a/b]',
    'openconfig:/a[k]/b',
    'openconfig:/a\\',
  ])
    expect(() => table.intern(key)).toThrow(RecordMalformed);
  expect([table.size, table.intern('openconfig:/a/b'), table.elements.size]).toEqual([0, 0, 2]);
});

test('an id is taken back at the second sweep after it was last interned, unless it is retained (P2)', () => {
  const table = new PathTable();
  const [held, left] = [table.intern('openconfig:/held'), table.intern('openconfig:/left')];
  const before = table.generation(left);
  table.retain(held);
  table.sweep();
  expect(table.key(left)).toBe('openconfig:/left');
  table.intern('openconfig:/left');
  table.sweep();
  expect(table.isKnown(left)).toBe(true);
  table.sweep();
  expect([table.isKnown(left), table.isKnown(held), table.find('openconfig:/left')]).toEqual([false, true, undefined]);
  expect(() => table.path(left)).toThrow(RangeError);
  expect(table.generation(left)).not.toBe(before);
  expect(table.intern('openconfig:/next/one')).toBe(left);
  expect(table.elems(left).map(({ name }) => name)).toEqual(['next', 'one']);
  table.release(held);
  table.sweep();
  expect(table.isKnown(held)).toBe(false);
});

test('keys of long origins and paths of many elements are kept as they are', () => {
  const table = new PathTable();
  const keys = Array.from({ length: 300 }, (_, n) => `o\\:${n}:/${'e/'.repeat(n * 70)}x`);
  const ids = keys.map((key) => table.intern(key));
  expect(ids.map((id) => table.key(id))).toEqual(keys);
  expect(ids.map((id) => table.origin(id))).toEqual(keys.map((_, n) => `o:${n}`));
  expect(ids.map((id) => table.length(id))).toEqual(keys.map((_, n) => n * 70 + 1));
  expect(table.elems(ids[299]!).at(-1)!.name).toBe('x');
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
