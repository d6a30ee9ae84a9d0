import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { type SlotHead } from '../../query-api/slot-head.ts';
import { checkSnapshot, encodeSlot, restoreSlot } from '../../query-api/slot-snapshot.ts';

const u64Max = 2n ** 64n - 1n;
const head: SlotHead = {
  log: { clusterId: 'cluster', topicId: 'topic', slots: 4 },
  slot: 1,
  writtenAtMs: 1_800_000_000_000,
  place: {
    nextOffset: 77n,
    logTimeMs: 1_800_000_000_001,
    epoch: u64Max,
    seq: 2n ** 53n + 1n,
    marker: { lagMs: 3, writtenAtMs: 5 },
    index: Buffer.from([0, 1, 255]),
  },
};
const written = (store: LeafStore) => Buffer.concat([...encodeSlot(store, head)]);
function restored(bytes: Buffer): LeafStore {
  const store = new LeafStore();
  for (const _ of restoreSlot(store, checkSnapshot(bytes)));
  return store;
}
const everything = compilePattern(parsePath('/'));
const leavesOf = (store: LeafStore) =>
  [...store.devices()].sort().flatMap((device) =>
    store.find(device, everything, '/').map((leaf) => ({
      device,
      key: leaf.key,
      value: leaf.value.toString('hex'),
      timestampNs: leaf.timestampNs,
      receivedAtNs: leaf.receivedAtNs,
      position: [leaf.epoch, leaf.seq],
      sampled: leaf.sampled,
      atomicRoot: leaf.atomicRoot,
    })),
  );

const value = fc.oneof(
  fc.bigInt({ min: 0n, max: u64Max }).map((uint) => encodeTypedValue({ kind: 'uint', value: uint })),
  fc.double().map((double) => encodeTypedValue({ kind: 'double', value: double })),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
);
const entry = fc.record({
  device: fc.constantFrom('d', 'e', '__proto__'),
  slot: fc.constantFrom<number>(1, 1, 2),
  path: fc.constantFrom('/a', '/a/b[k=ü]', '/a/c', '/__proto__', '/'),
  record: fc.option(
    fc.record({
      value,
      timestampNs: fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      sampled: fc.boolean(),
      atomicRoot: fc.constantFrom('', '/a', '/'),
    }),
  ),
  epoch: fc.constantFrom(1n, u64Max),
  seq: fc.bigInt({ min: 1n, max: u64Max }),
});
const apply = (
  store: LeafStore,
  { device, slot, path, record, epoch, seq }: typeof entry extends fc.Arbitrary<infer T> ? T : never,
) => store.apply(slot, `${device}${slot}`, `openconfig:${path}`, record, { epoch, seq, receivedAtNs: 9n });

test('what was written comes back, tombstones with it, and no leaf of another slot', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 40 }), fc.array(entry, { maxLength: 10 }), (entries, later) => {
      const store = new LeafStore();
      for (const one of entries) apply(store, one);
      const bytes = written(store);
      store.clearSlot(2);
      const copy = restored(bytes);
      expect(checkSnapshot(bytes).head).toEqual(head);
      expect(leavesOf(copy)).toEqual(leavesOf(store));
      expect(copy.usage()).toEqual(store.usage());
      // What comes later is taken alike: positions came back, those of tombstones too (L1, L2).
      for (const one of later) expect(apply(copy, one)).toBe(apply(store, one));
      expect(leavesOf(copy)).toEqual(leavesOf(store));
    }),
  );
});

test('a snapshot that was written while the store went on is made whole by the log behind its place (SN1)', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 30 }),
      fc.array(entry, { minLength: 1, maxLength: 30 }),
      fc.nat(400),
      (before, after, cut) => {
        const store = new LeafStore();
        const own = (one: (typeof before)[number], seq: number) => ({
          ...one,
          slot: 1,
          epoch: 1n,
          seq: BigInt(seq + 1),
        });
        const log = [...before, ...after].map(own);
        for (const one of log.slice(0, before.length)) apply(store, one);
        // Devices and paths are looked at one by one while records come: here, after some of the blocks' leaves.
        const [devices, paths] = [store.devicesOf(1), store.pathsOf.bind(store)];
        let looked = 0;
        let next = before.length;
        const going = Object.assign(Object.create(store) as LeafStore, {
          paths: store.paths,
          clearsOf: () => 0,
          devicesOf: () => devices,
          pathsOf: paths,
          partsOf: (device: string, path: number) => {
            looked += 1;
            if (looked > cut % 8) while (next < log.length) apply(store, log[next++]!);
            return store.partsOf(device, path);
          },
        });
        const copy = restored(written(going));
        while (next < log.length) apply(store, log[next++]!);
        for (const one of log.slice(before.length)) apply(copy, one);
        expect(leavesOf(copy)).toEqual(leavesOf(store));
      },
    ),
  );
});

const damaged = () => {
  const store = new LeafStore();
  for (const n of [1, 2, 3])
    store.apply(1, `d${n % 2}`, `openconfig:/a[k=${n}]`, { value: Buffer.from(`\x0a\x03v-${n}`), timestampNs: 5n, sampled: true, atomicRoot: '' }, { epoch: 3n, seq: BigInt(n), receivedAtNs: 1n }); // prettier-ignore
  store.apply(1, 'd9', 'openconfig:/x', { value: encodeTypedValue({ kind: 'uint', value: 7n }), timestampNs: 0n, sampled: false, atomicRoot: '' }, { epoch: 4n, seq: 1n, receivedAtNs: 1n }); // prettier-ignore
  return written(store);
};

test('no byte of it can be another without being noticed (SN2)', () => {
  const bytes = damaged();
  for (let at = 0; at < bytes.length; at += 1) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const other = Buffer.from(bytes);
      other[at]! ^= flip;
      expect(() => restored(other)).toThrow(RecordMalformed);
    }
  }
});

test('no beginning of it is taken for all of it, nor is anything behind it (SN2)', () => {
  const bytes = damaged();
  for (let length = 0; length < bytes.length; length += 1)
    expect(() => restored(bytes.subarray(0, length))).toThrow(RecordMalformed);
  expect(() => restored(Buffer.concat([bytes, bytes.subarray(8)]))).toThrow(RecordMalformed);
  expect(() => restored(Buffer.concat([bytes, Buffer.alloc(8)]))).not.toThrow(); // an empty block says nothing
});

test('a large slot comes in blocks that are small enough for a turn', () => {
  const store = new LeafStore();
  const record = {
    value: encodeTypedValue({ kind: 'uint', value: 7n }),
    timestampNs: 5n,
    sampled: true,
    atomicRoot: '',
  };
  const long = 'x'.repeat(400);
  for (let n = 0; n < 4_000; n += 1)
    store.apply(1, 'd', `openconfig:/${long}[k=${n}]`, record, { epoch: 3n, seq: 1n, receivedAtNs: 1n });
  const blocks = [...encodeSlot(store, head)];
  expect(blocks.length).toBeGreaterThan(5);
  expect(Math.max(...blocks.map(({ length }) => length))).toBeLessThan(300_000);
  expect(restored(Buffer.concat(blocks)).size).toBe(4_000);
});
