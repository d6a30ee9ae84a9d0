import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  RecordMalformed,
  comparePositions,
  decodeHeader,
  encodeHeader,
  encodeHeaderInto,
  formatPosition,
  headerLength,
  mayReplace,
  parsePosition,
  recordKinds,
} from '../../schemas/position.ts';
import { uint64 } from './arbitrary.ts';

const u16 = fc.nat({ max: 0xffff });
const header = fc.record(
  {
    kind: fc.constantFrom(...recordKinds),
    slot: u16,
    rpc: fc.nat({ max: 0x7fff }),
    more: fc.constant(true),
    epoch: uint64,
    seq: uint64,
    receivedAtNs: uint64,
  },
  { requiredKeys: ['kind', 'slot', 'rpc', 'epoch', 'seq', 'receivedAtNs'] },
);

test('the header has the layout of the contract', () => {
  const bytes = encodeHeader({
    kind: 'owner',
    slot: 0x0102,
    rpc: 0x0304,
    epoch: 0x1112131415161718n,
    seq: 0x2122232425262728n,
    receivedAtNs: 0x3132333435363738n,
  });
  expect(bytes.toString('hex')).toBe(
    '01' + '05' + '0102' + '0304' + '1112131415161718' + '2122232425262728' + '3132333435363738',
  );
});

test('H1: a header comes back exactly, from the middle of a buffer too', () => {
  fc.assert(
    fc.property(header, fc.nat({ max: 20 }), (said, at) => {
      expect(decodeHeader(encodeHeader(said))).toEqual(said);
      const target = Buffer.alloc(at + headerLength, 0xee);
      encodeHeaderInto(target, at, said);
      expect(decodeHeader(target.subarray(at))).toEqual(said);
      expect(target.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
    }),
  );
});

test('H3: that more records of the position follow is the highest bit of the rpc field, which takes no more than 15', () => {
  const said = { kind: 'data', slot: 1, rpc: 0x0304, epoch: 1n, seq: 2n, receivedAtNs: 3n } as const;
  expect(encodeHeader({ ...said, more: true }).toString('hex', 4, 6)).toBe('8304');
  expect(encodeHeader({ ...said, more: false }).toString('hex', 4, 6)).toBe('0304');
  expect(decodeHeader(encodeHeader(said)).more).toBeUndefined();
  expect(() => encodeHeader({ ...said, rpc: 0x8000 })).toThrow(RangeError);
});

test.each([
  ['too short', Buffer.alloc(29, 1)],
  ['of another version', Buffer.concat([Buffer.from([2]), Buffer.alloc(29)])],
  ['of an unknown kind', Buffer.concat([Buffer.from([1, 6]), Buffer.alloc(28)])],
])('a header %s is refused', (_why, bytes) => {
  expect(() => decodeHeader(bytes)).toThrow(RecordMalformed);
});

test('H2: positions of one slot are ordered by epoch, then seq; of two slots not at all', () => {
  const at = (epoch: bigint, seq: bigint, slot = 7) => ({ slot, epoch, seq });
  expect(comparePositions(at(1n, 9n), at(2n, 1n))).toBeLessThan(0);
  expect(comparePositions(at(2n, 9n), at(2n, 1n))).toBeGreaterThan(0);
  expect(comparePositions(at(2n ** 53n, 2n ** 53n), at(2n ** 53n, 2n ** 53n + 1n))).toBeLessThan(0);
  expect(comparePositions(at(2n, 1n), at(2n, 1n))).toBe(0);
  expect(() => comparePositions(at(1n, 1n, 1), at(1n, 1n, 2))).toThrow(RangeError);
});

test('positions as text come back; other text is refused', () => {
  fc.assert(
    fc.property(u16, uint64, uint64, (slot, epoch, seq) => {
      expect(parsePosition(formatPosition({ slot, epoch, seq }))).toEqual({ slot, epoch, seq });
    }),
  );
  expect(formatPosition({ slot: 7, epoch: 1795246383702n, seq: 1093n })).toBe('7:1795246383702:1093');
  for (const text of [
    '',
    '7',
    '7:1',
    '7:1:',
    '07:1:1',
    '7:01:1',
    '65536:1:1',
    '7:18446744073709551616:1',
    '-7:1:1',
    ' 7:1:1',
  ]) {
    expect(() => parsePosition(text)).toThrow(RecordMalformed);
  }
});

test.each([
  ['a higher epoch', [3, 9n, 1n], [3, 8n, 99n], true],
  ['a lower epoch', [3, 8n, 99n], [3, 9n, 1n], false],
  ['a lower seq', [3, 9n, 1n], [3, 9n, 2n], false],
  ['the same position: said again', [3, 9n, 1n], [3, 9n, 1n], true],
  ['another slot: no order', [4, 8n, 1n], [3, 9n, 1n], true],
  ['no position', null, [3, 9n, 1n], true],
  ['in place of no position', [3, 9n, 1n], null, true],
] as const)('a record of a compacted topic with %s', (_what, candidate, present, replaces) => {
  const position = (parts: readonly [number, bigint, bigint] | null) =>
    parts === null ? null : { slot: parts[0], epoch: parts[1], seq: parts[2] };
  expect(mayReplace(position(candidate), position(present))).toBe(replaces);
});
