import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeHeldReport, encodeHeldReport, type HeldReport } from '../../../core/kafka/held-report.ts';

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
    busy: fc.dictionary(fc.nat(slots - 1).map(String), fc.tuple(fc.boolean(), epoch)),
    warm: slotSet,
    unable: slotSet,
  })
  .map(({ busy, warm, unable, ...rest }): HeldReport => {
    const entries = Object.entries(busy).map(([slot, [held, at]]) => ({ slot: Number(slot), held, at }));
    const pick = (held: boolean) =>
      new Map(entries.filter((entry) => entry.held === held).map(({ slot, at }) => [slot, at]));
    return { ...rest, held: pick(true), releasing: pick(false), warm: new Set(warm), unable: new Set(unable) };
  });

test('a report survives its bytes', () => {
  fc.assert(
    fc.property(reports, (report) => {
      fc.pre(Buffer.byteLength(report.instance) < 256);
      const decoded = decodeHeldReport(encodeHeldReport(report, slots));
      const sorted = (map: ReadonlyMap<number, bigint>) => [...map].sort(([a], [b]) => a - b);
      expect({ ...decoded, held: sorted(decoded.held), releasing: sorted(decoded.releasing) }).toEqual({
        ...report,
        held: sorted(report.held),
        releasing: sorted(report.releasing),
      });
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
};

test('256 slots claimed within a minute fit into 1 KB', () => {
  const held = new Map(Array.from({ length: slots }, (_, slot) => [slot, 1_795_246_383_702n + BigInt(slot * 230)]));
  expect(encodeHeldReport({ ...empty, held }, slots).length).toBeLessThan(1024);
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
