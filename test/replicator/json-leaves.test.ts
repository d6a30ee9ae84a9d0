import fc from '../support/properties.ts';
import { jsonLeaves } from '../../replicator/json-leaves.ts';

/** Puts the leaves together again. Member names may repeat nowhere here, so nothing is lost. */
function rebuilt(text: string): unknown {
  let root: unknown;
  for (const { names, text: leaf } of jsonLeaves(text)) {
    const value: unknown = JSON.parse(leaf);
    if (names.length === 0) return value;
    let at = (root ??= Object.create(null)) as Record<string, unknown>;
    for (const name of names.slice(0, -1)) at = (at[name] ??= Object.create(null)) as Record<string, unknown>;
    at[names.at(-1)!] = value;
  }
  return root;
}

describe('JSON leaves', () => {
  test('their values are the document, whatever is in it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(0, 2), (text, indent) => {
        // Once through JSON.parse, so that repeated member names are gone.
        const document: unknown = JSON.parse(text);
        const printed = JSON.stringify(document, null, indent);
        expect(JSON.stringify(rebuilt(printed))).toBe(JSON.stringify(document));
      }),
      { numRuns: 500 },
    );
  });

  test('numbers keep their digits', () => {
    const leaves = jsonLeaves('{"a": 1.10, "b" : { "c": 9223372036854775808 }}');
    expect(leaves).toEqual([
      { names: ['a'], text: '1.10' },
      { names: ['b', 'c'], text: '9223372036854775808' },
    ]);
  });

  test('objects beyond the depth bound stay whole', () => {
    const text = '{"a":'.repeat(1_000) + '1' + '}'.repeat(1_000);
    const [leaf] = jsonLeaves(text);
    expect(leaf?.names).toHaveLength(64);
    expect(leaf?.text.length).toBe((1_000 - 64) * 6 + 1);
  });
});
