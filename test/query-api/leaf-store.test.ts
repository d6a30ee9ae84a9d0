import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { type LeafRecord } from '../../query-api/store.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { MapStore } from '../support/map-store.ts';

const at = (epoch: number, seq: number) => ({ epoch: BigInt(epoch), seq: BigInt(seq), receivedAtNs: 5n });
const plain = (value: Buffer) => ({ value, timestampNs: 9n, sampled: false, atomicRoot: '' });
const leaf = (text: string) => plain(Buffer.from(text));
const found = (store: LeafStore, device: string, path: string) =>
  store.find(device, compilePattern(parsePath(path)), path).map((view) => `${view.key}=${view.value.toString()}`);

test('per key the record of the highest position wins, whatever order they come in (L1)', () => {
  const position = fc.record({
    epoch: fc.integer({ min: 1, max: 3 }),
    seq: fc.integer({ min: 1, max: 5 }),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.uniqueArray(position, { minLength: 1, selector: (p) => `${p.epoch}:${p.seq}` }), (records) => {
      const store = new LeafStore();
      for (const { epoch, seq, gone } of records) {
        store.apply(0, 'd', 'openconfig:/a', gone ? null : leaf(`${epoch}:${seq}`), at(epoch, seq));
      }
      const last = [...records].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq).at(-1)!;
      expect(found(store, 'd', '/a')).toEqual(last.gone ? [] : [`openconfig:/a=${last.epoch}:${last.seq}`]);
      expect(store.size).toBe(last.gone ? 0 : 1);
    }),
  );
});

test('a repeat of the same position replaces, unless it says what is here already (L1, N12)', () => {
  const store = new LeafStore();
  store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 1));
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('2'), at(1, 1))).toBe('stored');
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a=2']);
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('2'), at(1, 1))).toBe('repeated');
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('2'), at(1, 2))).toBe('refreshed');
  expect(store.apply(0, 'd', 'openconfig:/a', { ...leaf('2'), sampled: true }, at(1, 2))).toBe('refreshed');
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 2))).toBe('deleted');
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 2))).toBe('repeated');
});

test('a delete of what is not here changes nothing, and its position counts all the same (L2)', () => {
  const store = new LeafStore();
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 5))).toBe('repeated');
  expect([store.size, store.deviceCount, store.has('d')]).toEqual([0, 0, false]);
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 4))).toBe('superseded');
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 7))).toBe('repeated');
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 6))).toBe('superseded');
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 7))).toBe('stored');
});

test('a tombstone holds off late records through one sweep and is forgotten at the second (L2)', () => {
  const store = new LeafStore();
  store.apply(0, 'd', 'openconfig:/a', null, at(2, 1));
  store.sweepTombstones();
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('late'), at(1, 9))).toBe('superseded');
  store.sweepTombstones();
  expect([...store.devices()]).toEqual([]);
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('late'), at(1, 9))).toBe('stored');
});

test('any bytes of a value come back as they were (L3)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const store = new LeafStore();
      store.apply(0, 'd', 'openconfig:/a', plain(Buffer.from(bytes)), at(1, 1));
      const [view] = store.find('d', compilePattern(parsePath('/')), '/');
      expect([...view!.value]).toEqual([...bytes]);
    }),
  );
});

test('a repeated question sees new values, new leaves and deletes', () => {
  const store = new LeafStore();
  store.apply(0, 'd', 'openconfig:/a/b', leaf('1'), at(1, 1));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/b=1']);
  store.apply(0, 'd', 'openconfig:/a/b', leaf('2'), at(1, 2));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/b=2']);
  store.apply(0, 'd', 'openconfig:/a/a', leaf('3'), at(1, 3));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/a=3', 'openconfig:/a/b=2']);
  store.apply(0, 'd', 'openconfig:/a/b', null, at(1, 4));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/a=3']);
});

test('many different questions keep their answers right although the cache is bounded (SC1)', () => {
  const store = new LeafStore();
  for (let index = 0; index < 100; index += 1)
    store.apply(0, 'd', `openconfig:/l${index}`, leaf(`${index}`), at(1, index + 1));
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 100; index += 1)
      expect(found(store, 'd', `/l${index}`)).toEqual([`openconfig:/l${index}=${index}`]);
  }
});

test('origins are apart, and names like __proto__ are names (N6, N18)', () => {
  const store = new LeafStore();
  store.apply(0, '__proto__', 'openconfig:/constructor[__proto__=x]', leaf('1'), at(1, 1));
  store.apply(0, '__proto__', 'native:/a', leaf('2'), at(1, 2));
  expect(found(store, '__proto__', '/')).toEqual(['openconfig:/constructor[__proto__=x]=1']);
  expect(found(store, '__proto__', 'native:/')).toEqual(['native:/a=2']);
  expect(found(store, '__proto__', '/constructor[__proto__=y]')).toEqual([]);
  expect(found(store, 'toString', '/')).toEqual([]);
});

test('a slot that is read anew forgets its devices and no others', () => {
  const store = new LeafStore();
  store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 1));
  store.apply(1, 'e', 'openconfig:/a', leaf('1'), at(1, 1));
  store.clearSlot(0);
  expect([...store.devices()]).toEqual(['e']);
  expect(store.size).toBe(1);
});

const u64Max = 2n ** 64n - 1n;
const typedValue: fc.Arbitrary<TypedValue> = fc.oneof(
  fc.record({ kind: fc.constant('uint' as const), value: fc.bigInt({ min: 0n, max: u64Max }) }),
  fc.record({ kind: fc.constant('int' as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('float' as const, 'double' as const), value: fc.double() }),
  fc.record({ kind: fc.constant('string' as const), value: fc.constantFrom('UP', 'DOWN', 'x'.repeat(100)) }),
);
/** What a device sends, what no encoder writes, and the edges between. */
const valueBytes = fc.oneof(
  typedValue.map(encodeTypedValue),
  fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.constantFrom(0x10, 0x18, 0x20, 0x35, 0x71), fc.uint8Array({ maxLength: 12 }))
    .map(([tag, rest]) => Buffer.from([tag, ...rest])),
);
const elems = fc.array(
  fc.constantFrom('a', 'b', 'ab', 'a-b', '__proto__', 'constructor', 'l[k=x/y]', 'l[k=\\]]', 'l[a=1][k=__proto__]'),
  { minLength: 1, maxLength: 4 },
);
const pathText = elems.map((parts) => `/${parts.join('/')}`);
const key = fc
  .tuple(fc.constantFrom('openconfig', 'cli'), fc.oneof(pathText, fc.constant('/')))
  .map(([origin, path]) => `${origin}:${path}`);
const root = fc.oneof(fc.constantFrom('', '', '/', '/nowhere', '/a', '/a/b'), pathText);
const device = fc.constantFrom('d', 'e', '__proto__');
const slotOfDevice = { d: 0, e: 1, ['__proto__']: 1 };
interface Apply {
  readonly kind: 'apply';
  readonly device: string;
  readonly key: string;
  readonly record: LeafRecord | null;
  readonly epoch: bigint;
  readonly seq: bigint;
}
type Step = Apply | { readonly kind: 'clear' } | { readonly kind: 'sweep' };
const record: fc.Arbitrary<LeafRecord> = fc.record({
  value: valueBytes,
  timestampNs: fc.oneof(fc.constantFrom(0n, 1n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  sampled: fc.boolean(),
  atomicRoot: root,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      device,
      key,
      record: fc.option(record, { freq: 3 }),
      epoch: fc.oneof(fc.constantFrom(1n, 2n, 3n), fc.constant(u64Max)),
      seq: fc.oneof(fc.bigInt({ min: 0n, max: 9n }), fc.constantFrom(2n ** 32n, u64Max)),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'clear' }, { kind: 'sweep' }, { kind: 'sweep' }) },
);
const questions = ['/', '/a', '/*/b', '/.../b', '/l[k=*]', '/l', 'cli:/', '/l[k=__proto__]/a', '/.../ab/.../b', '/a-b'];
const patterns = questions.map((text) => ({ text, pattern: compilePattern(parsePath(text)) }));

test('whatever is applied, deleted, cleared and swept, it says what the obvious store says (L1-L3, LS1)', () => {
  const rows = (store: LeafStore, device: string, asked: typeof patterns) =>
    store
      .select(asked)
      .leaves(device, '', Infinity)
      .map((view) => ({
        device: view.device,
        key: view.key,
        value: view.value.toString('hex'),
        timestampNs: view.timestampNs,
        receivedAtNs: view.receivedAtNs,
        epoch: view.epoch,
        seq: view.seq,
        sampled: view.sampled,
        atomicRoot: view.atomicRoot,
      }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const store = new LeafStore();
      const model = new MapStore();
      for (const [index, one] of steps.entries()) {
        if (one.kind === 'clear') [store, model].forEach((each) => each.clearSlot(1));
        else if (one.kind === 'sweep') [store, model].forEach((each) => each.sweepTombstones());
        else {
          const slot = slotOfDevice[one.device as 'd'];
          const position = { epoch: one.epoch, seq: one.seq, receivedAtNs: 7n };
          const [became, expected] = [store, model].map((each) =>
            each.apply(slot, one.device, one.key, one.record, position),
          );
          expect(became).toBe(expected);
        }
        if (index % 7 !== 0 && index < steps.length - 1) continue;
        expect([...store.devices()].sort()).toEqual(model.devices().sort());
        expect([store.size, store.deviceCount]).toEqual([model.size, model.devices().length]);
        const asked = index % 2 === 0 ? [patterns[index % patterns.length]!] : patterns.slice(1, 4);
        let total = 0;
        for (const name of ['d', 'e', '__proto__']) {
          const expected = model.find(
            name,
            asked.map(({ pattern }) => pattern),
          );
          expect(rows(store, name, asked)).toEqual(expected);
          expect(store.select(asked).count(name)).toBe(expected.length);
          const after = expected[1]?.key ?? '';
          expect(
            store
              .select(asked)
              .leaves(name, after, 2)
              .map((view) => view.key),
          ).toEqual(
            expected
              .filter(({ key: other }) => other > after)
              .map(({ key: other }) => other)
              .slice(0, 2),
          );
          total += expected.length;
        }
        expect(store.select(asked).total).toBe(total);
      }
    }),
    { numRuns: 300 },
  );
});

test('a leaf that was taken out stays what it was', () => {
  const store = new LeafStore();
  const value = encodeTypedValue({ kind: 'int', value: -5n });
  store.apply(
    0,
    'd',
    'openconfig:/a[k=v]/b',
    { value, timestampNs: -1n, sampled: true, atomicRoot: '/a[k=v]' },
    at(3, 4),
  );
  const [view] = store.find('d', compilePattern(parsePath('/')), '/');
  store.apply(0, 'd', 'openconfig:/a[k=v]/b', null, at(3, 5));
  for (let sweep = 0; sweep < 3; sweep += 1) store.sweepTombstones();
  store.apply(0, 'd', 'openconfig:/other', leaf('x'), at(9, 9));
  expect(store.paths.find('openconfig:/a[k=v]/b')).toBeUndefined();
  expect([view!.key, view!.path, view!.origin, view!.elems[0]?.keys.get('k')]).toEqual([
    'openconfig:/a[k=v]/b',
    '/a[k=v]/b',
    'openconfig',
    'v',
  ]);
  expect([view!.value, view!.timestampNs, view!.epoch, view!.seq]).toEqual([value, -1n, 3n, 4n]);
  expect([view!.sampled, view!.atomicRoot, view!.receivedAtNs]).toEqual([true, '/a[k=v]', 0n]);
});

test('paths, values and epochs that come and go leave nothing behind (LS2)', () => {
  const store = new LeafStore();
  for (let round = 1; round <= 40; round += 1) {
    for (let n = 0; n < 200; n += 1)
      store.apply(0, `d${round}`, `openconfig:/p[k=${round}-${n}]`, leaf(`value ${round} ${n}`), at(round, 1));
    for (let n = 0; n < 200; n += 1) store.apply(0, `d${round}`, `openconfig:/p[k=${round}-${n}]`, null, at(round, 2));
    store.sweepTombstones();
  }
  expect(store.size).toBe(0);
  // What one sweep holds, with the room that the sweep before needed.
  expect(store.paths.size).toBeLessThanOrEqual(3 * 200);
  expect(store.paths.elements.size).toBeLessThanOrEqual(3 * 200);
  expect(store.usage()).toEqual({ rows: 200, values: 0, epochs: 1 });
  store.sweepTombstones();
  store.sweepTombstones();
  expect(store.usage()).toEqual({ rows: 0, values: 0, epochs: 0 });
});

test('a path id that was given out again does not answer for the path before (PS2)', () => {
  const store = new LeafStore();
  const ask = () => found(store, 'd', '/old');
  store.apply(0, 'd', 'openconfig:/old', leaf('1'), at(1, 1));
  expect(ask()).toHaveLength(1);
  const id = store.paths.find('openconfig:/old');
  store.apply(0, 'd', 'openconfig:/old', null, at(1, 2));
  for (let sweep = 0; sweep < 3; sweep += 1) store.sweepTombstones();
  store.apply(0, 'd', 'openconfig:/new', leaf('2'), at(1, 3));
  expect(store.paths.find('openconfig:/new')).toBe(id);
  expect(ask()).toEqual([]);
  expect(found(store, 'd', '/new')).toHaveLength(1);
});

test('a device with forty thousand leaves of its own is found, listed and emptied (RI1)', () => {
  const store = new LeafStore();
  const name = (n: number) => `openconfig:/p[k=${n}]/v`;
  const value = encodeTypedValue({ kind: 'uint', value: 1n });
  for (let n = 0; n < 40_000; n += 1)
    store.apply(0, 'd', name(n), { value, timestampNs: 9n, sampled: false, atomicRoot: '' }, at(1, 1));
  const all = store.select([patterns[0]!]);
  expect([store.size, all.total, all.count('d')]).toEqual([40_000, 40_000, 40_000]);
  expect(all.leaves('d', name(5), 3).map((view) => view.key)).toEqual([name(6_000), name(6_001), name(6_002)]);
  for (let n = 0; n < 40_000; n += 1) if (n % 1000 !== 0) store.apply(0, 'd', name(n), null, at(1, 2));
  store.sweepTombstones();
  store.sweepTombstones();
  expect(store.usage().rows).toBe(40);
  expect(store.select([patterns[0]!]).leaves('d', '', Infinity)).toHaveLength(40);
  store.clearSlot(0);
  expect([store.size, store.usage().rows]).toEqual([0, 0]);
});
