import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { beginningLength, elementEnd, pathBeginning, PathElements } from '../../core/path-elements.ts';
import { formatElems, parsePath, PathMalformed, type PathElem } from '../../schemas/path.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', '/', '[', ']', '=', '\\', '\n', 'é', '_'), maxLength: 4 });
const elem: fc.Arbitrary<PathElem> = fc.record({
  name: word,
  keys: fc
    .uniqueArray(
      fc.tuple(
        word.filter((name) => name !== ''),
        word,
      ),
      { selector: ([name]) => name, maxLength: 2 },
    )
    .map((entries) => new Map(entries)),
});

/** A path's text, cut where `elementEnd` says. */
function cut(path: string): string[] {
  const texts: string[] = [];
  for (let at = 1; at < path.length; at = elementEnd(path, at) + 1) texts.push(path.slice(at, elementEnd(path, at)));
  return texts;
}

test('a path cut into the texts of its elements has the elements that parsing it gives', () => {
  fc.assert(
    fc.property(fc.array(elem, { maxLength: 5 }), (elems) => {
      const table = new PathElements();
      const path = formatElems(elems);
      expect(cut(path).map((text) => table.elem(table.use(text)))).toEqual(parsePath(path).elems);
    }),
  );
});

test('a text has one id while it is used, and its id is taken back after (PE1)', () => {
  const table = new PathElements();
  const id = table.use('l[k=__proto__]');
  expect(table.use('l[k=__proto__]')).toBe(id);
  expect(table.elem(id).keys.get('k')).toBe('__proto__');
  table.release(id);
  expect([table.use('l[k=__proto__]'), table.frees]).toEqual([id, 0]);
  table.release(id);
  table.release(id);
  expect(table.frees).toBe(1);
  expect(table.use('other')).toBe(id);
  expect(table.elem(id).name).toBe('other');
});

test('what is no element has no id (PE2)', () => {
  const table = new PathElements();
  for (const text of ['a[', 'a]', 'a[k]', 'a[=v]', 'a\\']) expect(() => table.use(text)).toThrow(PathMalformed);
  expect(table.size).toBe(0);
});

test.each([
  ['/a/b[k=x/y]/c', '/', 0],
  ['/a/b[k=x/y]/c', '/a', 1],
  ['/a/b[k=x/y]/c', '/a/b[k=x/y]', 2],
  ['/a/b[k=x/y]/c', '/a/b[k=x/y]/c', 3],
  ['/', '/', 0],
])('of %s, %s is the beginning of %i elements', (path, beginning, count) => {
  expect(beginningLength(path, beginning)).toBe(count);
  expect(pathBeginning(path, count)).toBe(beginning);
});

test.each(['/a/b[k=x', '/a/b', '/ab', '/b', '/a/b[k=x/y]/c/d', 'a'])('%s is no beginning of /a/b[k=x/y]/c', (text) => {
  expect(beginningLength('/a/b[k=x/y]/c', text)).toBe(-1);
});
