import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { PathSelection } from '../../core/path-selection.ts';
import { PathTable } from '../../core/path-table.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';

const part = fc.constantFrom('a', 'b', 'a-b', 'l[k=1]', 'l[k=2]', '...', '*', 'l[k=*]', 'l');
const text = fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);

test('it covers what its patterns match, lists it in key order, and goes on when paths come and go (PS1 to PS3)', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), path: text }),
    fc.record({ kind: fc.constantFrom('sweep' as const, 'ask' as const, 'rest' as const) }),
  );
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), fc.array(step, { maxLength: 80 }), (asked, steps) => {
      const table = new PathTable();
      const patterns = asked.map((path) => compilePattern(parsePath(path)));
      const selection = new PathSelection(table, patterns);
      const expected = () => {
        const keys: string[] = [];
        for (let id = 0; id < table.size; id += 1) {
          const isCovered = table.isKnown(id) && patterns.some((pattern) => pattern.matches(table.elems(id)));
          expect(selection.covers(id)).toBe(isCovered);
          if (isCovered) keys.push(table.key(id));
        }
        return keys.sort();
      };
      for (const one of steps) {
        if (one.kind === 'sweep') table.sweep();
        else if (one.kind === 'add') table.intern(`openconfig:${one.path}`);
        else if (one.kind === 'rest') {
          selection.rest();
          expected(); // PS3
        } else expect([...selection.ids()].map((id) => table.key(id))).toEqual(expected());
      }
      expect([...selection.ids()].map((id) => table.key(id))).toEqual(expected());
    }),
  );
});

test('each step asks an element once, and each path is compared once, whatever is asked (PS1)', () => {
  const table = new PathTable();
  let asked = 0;
  const { steps, ...rest } = compilePattern(parsePath('/ifs/if[name=*]/in'));
  const counting = steps.map((step) =>
    step === null ? null : (elem: Parameters<typeof step>[0]) => (asked++, step(elem)),
  );
  const selection = new PathSelection(table, [{ ...rest, steps: counting }]);
  for (let n = 0; n < 100; n += 1)
    for (const leaf of ['in', 'out']) table.intern(`openconfig:/ifs/if[name=${n}]/${leaf}`);
  expect(selection.ids()).toHaveLength(100);
  expect(asked).toBe(1 + 100 + 2);
  for (let id = 0; id < table.size; id += 1) selection.covers(id);
  selection.ids();
  expect(asked).toBe(103);
});

test('a verdict does not outlive 64 generations of its id (PS2)', () => {
  const table = new PathTable();
  const selection = new PathSelection(table, [compilePattern(parsePath('/a'))]);
  const id = table.intern('openconfig:/a');
  expect(selection.covers(id)).toBe(true);
  // One generation per two sweeps: 64 generations on, the id has the low bits it had.
  for (let generation = 0; generation < 64; generation += 1) {
    table.sweep();
    table.sweep();
    expect(table.intern(`openconfig:/b[n=${generation}]`)).toBe(id);
  }
  expect(selection.covers(id)).toBe(false);
});
