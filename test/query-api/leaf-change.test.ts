import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { leafChange } from '../../query-api/leaf-change.ts';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { parsePath } from '../../schemas/path.ts';

const slot = 3;
const key = 'openconfig:/a/b[k=v\\:w]/c';
const unsigned = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(2n ** 31n, 2n ** 32n - 1n));
const signed = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(0n, -1n, 2n ** 31n));

test('LC1: whatever a record says comes out as it went in', () => {
  const store = new LeafStore();
  const arbitrary = fc.record({
    ...{ epoch: unsigned, seq: unsigned, receivedAtNs: signed, timestampNs: signed },
    ...{ sampled: fc.boolean(), isSameValue: fc.boolean(), isDelete: fc.boolean() },
    value: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    atomicRoot: fc.constantFrom('', '/', '/a', '/a/b[k=v\\:w]', '/a/b[k=v\\:w]/c'),
  });
  fc.assert(
    fc.property(arbitrary, ({ epoch, seq, receivedAtNs, isSameValue, isDelete, ...leaf }) => {
      const header = { slot, kind: 'data' as const, rpc: 0, epoch, seq, receivedAtNs };
      const source = { header, device: 'd', key, leaf: isDelete ? null : leaf };
      const change = leafChange(store, slot, source, { isSameValue });
      const timestampNs = isDelete ? receivedAtNs : leaf.timestampNs;
      expect(change).toMatchObject({ slot, device: 'd', key, isSameValue, timestampNs, epoch, seq });
      if (isDelete) {
        expect(change.leaf).toBeNull();
        return;
      }
      const time = leaf.timestampNs === 0n ? { receivedAtNs } : { receivedAtNs: 0n };
      const names = { device: 'd', key, origin: 'openconfig', path: key.slice('openconfig:'.length) };
      expect(change.leaf).toMatchObject({ ...names, ...leaf, ...time, epoch, seq });
      expect(change.leaf?.elems).toEqual(parsePath(key).elems);
    }),
  );
});

test('LC1: names are strings that the store has, not pieces of the record; a root that is no beginning is none', () => {
  const store = new LeafStore();
  const header = { slot, kind: 'data' as const, rpc: 0, epoch: 1n, seq: 1n, receivedAtNs: 1n };
  const leaf = { value: Buffer.from([1]), timestampNs: 1n, atomicRoot: '/x', sampled: false };
  const names = { paths: store.paths, nameOf: (device: string) => `${device} of the store` };
  const change = leafChange(names, slot, { header, device: 'd', key, leaf });
  expect([change.device, change.leaf?.atomicRoot]).toEqual(['d of the store', '']);
});

test('a delete has the name and the time of receipt, and a device that the store does not know keeps its name', () => {
  const store = new LeafStore();
  const header = { slot, kind: 'data' as const, rpc: 0, epoch: 1n, seq: 2n, receivedAtNs: 7n };
  const change = leafChange(store, slot, { header, device: 'gone', key, leaf: null });
  expect([change.device, change.leaf, change.timestampNs]).toEqual(['gone', null, 7n]);
});
