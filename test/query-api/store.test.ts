import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { MapStore } from '../../query-api/store.ts';

const at = (epoch: number, seq: number) => ({ epoch: BigInt(epoch), seq: BigInt(seq), receivedAtNs: 5n });
const record = (value: Buffer) => ({ value, timestampNs: 9n, sampled: false, atomicRoot: '' });
const leaf = (text: string) => record(Buffer.from(text));
const found = (store: MapStore, device: string, path: string) =>
  store.find(device, compilePattern(parsePath(path)), path).map((view) => `${view.key}=${view.value.toString()}`);

test('per key the record of the highest position wins, whatever order they come in (L1)', () => {
  const position = fc.record({
    epoch: fc.integer({ min: 1, max: 3 }),
    seq: fc.integer({ min: 1, max: 5 }),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.uniqueArray(position, { minLength: 1, selector: (p) => `${p.epoch}:${p.seq}` }), (records) => {
      const store = new MapStore();
      for (const { epoch, seq, gone } of records) {
        store.apply(0, 'd', 'openconfig:/a', gone ? null : leaf(`${epoch}:${seq}`), at(epoch, seq));
      }
      const last = [...records].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq).at(-1)!;
      expect(found(store, 'd', '/a')).toEqual(last.gone ? [] : [`openconfig:/a=${last.epoch}:${last.seq}`]);
      expect(store.size).toBe(last.gone ? 0 : 1);
    }),
  );
});

test('a repeat of the same position replaces: the last of one notification counts (L1, N12)', () => {
  const store = new MapStore();
  store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 1));
  expect(store.apply(0, 'd', 'openconfig:/a', leaf('2'), at(1, 1))).toBe('repeated');
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a=2']);
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 2))).toBe('deleted');
  expect(store.apply(0, 'd', 'openconfig:/a', null, at(1, 2))).toBe('repeated');
});

test('a tombstone holds off late records through one sweep and is forgotten at the second (L2)', () => {
  const store = new MapStore();
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
      const store = new MapStore();
      store.apply(0, 'd', 'openconfig:/a', record(Buffer.from(bytes)), at(1, 1));
      const [view] = store.find('d', compilePattern(parsePath('/')), '/');
      expect([...view!.value]).toEqual([...bytes]);
    }),
  );
});

test('a repeated question sees new values, new leaves and deletes', () => {
  const store = new MapStore();
  store.apply(0, 'd', 'openconfig:/a/b', leaf('1'), at(1, 1));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/b=1']);
  store.apply(0, 'd', 'openconfig:/a/b', leaf('2'), at(1, 2));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/b=2']);
  store.apply(0, 'd', 'openconfig:/a/a', leaf('3'), at(1, 3));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/a=3', 'openconfig:/a/b=2']);
  store.apply(0, 'd', 'openconfig:/a/b', null, at(1, 4));
  expect(found(store, 'd', '/a')).toEqual(['openconfig:/a/a=3']);
});

test('many different questions keep their answers right although the cache is bounded', () => {
  const store = new MapStore();
  for (let index = 0; index < 40; index += 1)
    store.apply(0, 'd', `openconfig:/l${index}`, leaf(`${index}`), at(1, index + 1));
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 40; index += 1)
      expect(found(store, 'd', `/l${index}`)).toEqual([`openconfig:/l${index}=${index}`]);
  }
});

test('origins are apart, and names like __proto__ are names (N6, N18)', () => {
  const store = new MapStore();
  store.apply(0, '__proto__', 'openconfig:/constructor[__proto__=x]', leaf('1'), at(1, 1));
  store.apply(0, '__proto__', 'native:/a', leaf('2'), at(1, 2));
  expect(found(store, '__proto__', '/')).toEqual(['openconfig:/constructor[__proto__=x]=1']);
  expect(found(store, '__proto__', 'native:/')).toEqual(['native:/a=2']);
  expect(found(store, '__proto__', '/constructor[__proto__=y]')).toEqual([]);
  expect(found(store, 'toString', '/')).toEqual([]);
});

test('a slot that is read anew forgets its devices and no others', () => {
  const store = new MapStore();
  store.apply(0, 'd', 'openconfig:/a', leaf('1'), at(1, 1));
  store.apply(1, 'e', 'openconfig:/a', leaf('1'), at(1, 1));
  store.clearSlot(0);
  expect([...store.devices()]).toEqual(['e']);
  expect(store.size).toBe(1);
});
