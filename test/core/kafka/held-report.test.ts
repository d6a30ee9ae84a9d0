import { expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import {
  decodeHeldReport,
  encodeHeldReport,
  type HeldReport,
  reportBytesMax,
} from '../../../core/kafka/held-report.ts';

const slots = 256;
const epoch = fc.bigInt({ min: 1n, max: (1n << 63n) - 1n });
const slotSet = fc.uniqueArray(fc.nat(slots - 1));
const reports = fc
  .record({
    instance: fc.string({ maxLength: 40, unit: 'grapheme' }),
    incarnation: fc.string({ maxLength: 32 }),
    peer: fc.string({ maxLength: 40 }),
    zone: fc.string({ maxLength: 20 }),
    capacity: fc.nat(65_535),
    draining: fc.boolean(),
    nonce: fc.nat(),
    adoptedVersion: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    busy: fc.dictionary(
      fc.nat(slots - 1).map(String),
      fc.tuple(fc.boolean(), epoch, fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined })),
    ),
    warm: slotSet,
    unable: slotSet,
  })
  .map(({ busy, warm, unable, ...rest }): HeldReport => {
    const entries = Object.entries(busy).map(([slot, [held, at, weight]]) => ({
      slot: Number(slot),
      held,
      at,
      weight,
    }));
    const pick = (held: boolean) =>
      new Map(entries.filter((entry) => entry.held === held).map(({ slot, at }) => [slot, at]));
    const weights = new Map<number, number>();
    for (const { slot, held, weight } of entries) if (held && weight !== undefined) weights.set(slot, weight);
    return { ...rest, held: pick(true), releasing: pick(false), warm: new Set(warm), unable: new Set(unable), weights };
  });

test('a report survives its bytes; those of format 1 have no weights', () => {
  fc.assert(
    fc.property(reports, fc.constantFrom(1 as const, 2 as const), (report, format) => {
      fc.pre(Buffer.byteLength(report.instance) < 256);
      const decoded = decodeHeldReport(encodeHeldReport(report, slots, format));
      const weights = format === 2 ? report.weights : new Map<number, number>();
      expect(decoded).toEqual({ ...report, weights, format, slots });
    }),
  );
});

test('HR-3: whatever the bytes, they are a report or refused with PLAN_INVALID', () => {
  fc.assert(
    fc.property(reports, fc.array(fc.tuple(fc.nat(2_000), fc.nat(255))), fc.nat(3_000), (report, changes, length) => {
      fc.pre(Buffer.byteLength(report.instance) < 256);
      const bytes = encodeHeldReport(report, slots);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      try {
        decodeHeldReport(bytes.subarray(0, length));
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'PLAN_INVALID' });
      }
    }),
  );
});

const empty: HeldReport = {
  instance: 'ingest-1',
  incarnation: 'a'.repeat(22),
  peer: '',
  zone: '',
  capacity: 100,
  draining: false,
  nonce: 0,
  adoptedVersion: 1_795_246_383_702n,
  held: new Map(),
  releasing: new Map(),
  warm: new Set(),
  unable: new Set(),
  weights: new Map(),
};

test('256 slots claimed within a minute fit into 1 KB, with weights into 1.5 KB', () => {
  const all = Array.from({ length: slots }, (_, slot) => slot);
  const held = new Map(all.map((slot) => [slot, 1_795_246_383_702n + BigInt(slot * 230)]));
  const weights = new Map(all.map((slot) => [slot, 1_000 + slot]));
  expect(encodeHeldReport({ ...empty, held, weights }, slots, 1).length).toBeLessThan(1024);
  expect(encodeHeldReport({ ...empty, held, weights }, slots).length).toBeLessThan(1536);
});

test('a weight is whole, at least 1 and at most 2^32 − 1', () => {
  const held = new Map([0, 1, 2].map((slot) => [slot, 1n]));
  const weights = new Map([
    [0, 0.2],
    [1, 7.9],
    [2, 1e12],
  ]);
  const decoded = decodeHeldReport(encodeHeldReport({ ...empty, held, weights }, 16));
  expect([...decoded.weights.values()]).toEqual([1, 7, 0xffff_ffff]);
});

test('a new nonce makes new bytes: the coordinator rebalances for those only', () => {
  expect(encodeHeldReport(empty, 16).equals(encodeHeldReport({ ...empty, nonce: 1 }, 16))).toBe(false);
});

test('bytes that are cut short, or of another version, are refused by name', () => {
  const bytes = encodeHeldReport(empty, 16);
  expect(() => decodeHeldReport(bytes.subarray(0, 30))).toThrow(/cut short/);
  const newer = Buffer.from(bytes);
  newer.writeUInt8(9, 0);
  expect(() => decodeHeldReport(newer)).toThrow(/version 9/);
});

test('HR-3: bytes beyond their bounds are refused by name', () => {
  const held = new Map([[3, (1n << 63n) - 1n]]);
  const bytes = encodeHeldReport({ ...empty, held }, 16);
  const texts = 18 + [empty.instance, empty.incarnation, empty.peer, empty.zone].join('').length + 4;
  const changed = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.alloc(reportBytesMax + 1, 2), /65537 bytes/],
    [changed((copy) => copy.writeUInt16BE(0, 16)), /for 0 slots/],
    [changed((copy) => copy.writeUInt16BE(1_025, 16)), /for 1025 slots/],
    [changed((copy) => copy.writeUInt8(1 << 3, texts + 2)), /slot 3 is held and released/],
    [changed((copy) => copy.writeUInt8(1, copy.length - 2)), /more than 64 bits/],
    [Buffer.concat([bytes.subarray(0, -2), Buffer.alloc(11, 0xff)]), /more than 64 bits/],
    [Buffer.concat([bytes, Buffer.alloc(3)]), /3 bytes after its end/],
  ];
  expect(decodeHeldReport(bytes).held).toEqual(held);
  for (const [refused, why] of cases) expect(() => decodeHeldReport(refused)).toThrow(why);
});

test('unknown flags are ignored', () => {
  const bytes = encodeHeldReport(empty, 16);
  bytes.writeUInt8(0xfe, 1);
  expect(decodeHeldReport(bytes).draining).toBe(false);
});
