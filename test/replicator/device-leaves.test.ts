import fc from '../support/properties.ts';
import { DeviceLeaves } from '../../replicator/device-leaves.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { formatElems, type PathElem } from '../../schemas/path.ts';
import { path, uint } from './telemetry-log.ts';

const arbitraryKeys = (values: readonly string[]) =>
  fc
    .dictionary(fc.constantFrom('k', 'l', '__proto__'), fc.constantFrom(...values), {
      maxKeys: 2,
      noNullPrototype: true,
    })
    .map((keys) => new Map(Object.entries(keys)));
const arbitraryElem = (names: readonly string[], values: readonly string[]): fc.Arbitrary<PathElem> =>
  fc.record({ name: fc.constantFrom(...names), keys: arbitraryKeys(values) });
const names = ['a', 'b', '', '/a[k=1]', 'constructor'];
const arbitraryPath = fc.array(arbitraryElem(names, ['1', '2', '']), { maxLength: 4 });
const arbitraryPattern = fc.array(arbitraryElem([...names, '*', '...'], ['1', '2', '*']), { maxLength: 4 });

describe('leaves of a device', () => {
  test('what a place covers is what its pattern matches', () => {
    fc.assert(
      fc.property(fc.array(arbitraryPath, { maxLength: 12 }), arbitraryPattern, (paths, elems) => {
        const leaves = new DeviceLeaves('leaf-1');
        for (const one of paths) leaves.set(leaves.entry('openconfig', one), uint(1));
        leaves.set(leaves.entry('cli', [{ name: 'a', keys: new Map() }]), uint(1));
        const pattern = compilePattern({ origin: '', target: '', elems });
        const expected = new Set(paths.filter((one) => pattern.matches(one)).map(formatElems));
        const covered = leaves.covered({ origin: 'openconfig', elems });
        expect(new Set(covered.map((entry) => entry.path))).toEqual(expected);
        expect(covered).toHaveLength(expected.size); // each once
        expect(leaves.size).toBe(new Set(paths.map(formatElems)).size + 1);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a path is one entry, and the entry keeps its own copy of the value', () => {
    const leaves = new DeviceLeaves('leaf-1');
    const { elems } = path('/a[k=1]/b');
    const entry = leaves.entry('openconfig', elems);
    const value = uint(7);
    leaves.set(entry, value);
    value.fill(0xff);
    expect(leaves.entry('openconfig', path('/a[k=1]/b').elems)).toBe(entry);
    expect(entry.value).toEqual(uint(7));
    expect(entry.key.toString()).toBe('leaf-1|openconfig:/a[k=1]/b');
  });

  test('paths that never held a leaf are forgotten in time, leaves are not', () => {
    const leaves = new DeviceLeaves('leaf-1');
    const kept = leaves.entry('openconfig', path('/kept').elems);
    leaves.set(kept, uint(1));
    for (let index = 0; index <= 10_000; index += 1) leaves.entry('openconfig', path(`/a/b[k=${index}]`).elems);
    const before = leaves.entry('openconfig', path('/a/b[k=1]').elems);
    leaves.trim();
    expect(leaves.entry('openconfig', path('/a/b[k=1]').elems)).not.toBe(before);
    expect(leaves.entry('openconfig', path('/kept').elems)).toBe(kept);
    expect(leaves.all()).toEqual([kept]);
  });

  test('what is forgotten leaves lookups by key and wildcard as they were', () => {
    const leaves = new DeviceLeaves('leaf-1');
    for (let index = 0; index <= 10_000; index += 1) leaves.entry('openconfig', path(`/a/b[l=${index}]`).elems);
    leaves.set(leaves.entry('openconfig', path('/a/b[k=1]/v').elems), uint(1));
    leaves.trim();
    leaves.set(leaves.entry('openconfig', path('/a/b[k=2]/v').elems), uint(1));
    const covered = (text: string) => leaves.covered(path(`openconfig:${text}`)).map((entry) => entry.path);
    expect(covered('/a/b[k=2]')).toEqual(['/a/b[k=2]/v']);
    expect(covered('/a/b')).toEqual(['/a/b[k=1]/v', '/a/b[k=2]/v']);
  });

  test('a wildcard over more children than a call takes arguments', () => {
    const leaves = new DeviceLeaves('leaf-1');
    for (let index = 0; index < 150_000; index += 1) {
      leaves.set(leaves.entry('openconfig', [{ name: `n${index}`, keys: new Map() }]), uint(1));
    }
    expect(leaves.covered(path('openconfig:/*'))).toHaveLength(150_000);
  });
});
