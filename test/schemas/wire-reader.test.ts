import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { MessageMalformed, WireReader } from '../../schemas/wire-reader.ts';
import { WireWriter } from '../../schemas/wire-writer.ts';
import { int64, uint32, uint64 } from './arbitrary.ts';

const ofHex = (hex: string): WireReader => new WireReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

test('R2: 64-bit integers come back exactly', () => {
  fc.assert(
    fc.property(int64, uint64, uint32, (signed, unsigned, small) => {
      const bytes = new WireWriter(1).varint64(signed).varint64(unsigned).varint32(small).varint32(small).finish();
      const reader = new WireReader(bytes);
      expect([reader.int64(), reader.uint64(), reader.uint32(), reader.uint64()]).toEqual([
        signed,
        unsigned,
        small,
        BigInt(small),
      ]);
      expect(reader.next()).toBe(false);
    }),
  );
});

test.each([
  ['80 00', 0n],
  ['ff 80 80 80 80 80 80 80 80 00', 127n],
  ['ff ff ff ff ff ff ff ff ff 01', 2n ** 64n - 1n],
  ['ff ff ff ff ff ff ff ff ff 7f', 2n ** 64n - 1n],
])('a varint in more bits than it needs keeps its low 64: %s', (hex, value) => {
  expect(ofHex(hex).uint64()).toBe(value);
});

test.each([
  ['', 'ends inside a number'],
  ['ff', 'ends inside a number'],
  ['ff ff ff ff ff ff ff ff ff ff 01', 'more than 10 bytes'],
])('a varint %j is refused', (hex, why) => {
  expect(() => ofHex(hex).uint64()).toThrow(why);
  expect(() => ofHex(hex).uint32()).toThrow(why);
});

test.each([
  ['00', 'field number 0'],
  ['0a 02 61', 'longer than what holds it'],
  ['0a ff ff ff ff 0f', 'longer than what holds it'],
  ['09 01 02', 'longer than what holds it'],
  ['0d 01', 'longer than what holds it'],
  ['0e', 'wire type 6'],
  ['0c', 'wire type 4'],
  ['0b 08 01', 'a group without its end'],
  ['0b 14', 'a group without its end'],
  ['0b'.repeat(100), 'nested deeper'],
])('R1: %s ends as MessageMalformed', (hex, why) => {
  const reader = ofHex(hex);
  const skipAll = (): void => {
    while (reader.next()) reader.skip();
  };
  expect(skipAll).toThrow(MessageMalformed);
  expect(() => {
    const again = ofHex(hex);
    while (again.next()) again.skip();
  }).toThrow(why);
});

test('R3: unknown fields of every wire type are skipped, groups with their content', () => {
  const reader = ofHex('08 01 11 0102030405060708 1a 02 6162 23 08 01 2b 0a 00 2c 24 35 01020304 38 2a');
  const fields: number[] = [];
  while (reader.next()) {
    fields.push(reader.field);
    if (reader.field === 7) expect(reader.uint32()).toBe(42);
    else reader.skip();
  }
  expect(fields).toEqual([1, 2, 3, 4, 6, 7]);
});

test('R3: a nested message cannot reach beyond its own length', () => {
  // field 1: a message of 2 bytes whose string claims 3
  const reader = ofHex('0a 02 0a 03 61 62 63');
  reader.next();
  reader.enter();
  reader.next();
  expect(() => reader.string()).toThrow('longer than what holds it');
  expect(() => ofHex('05 01').enter()).toThrow('longer than what holds it');
});

test('L5: strings that are not UTF-8 are counted, a real U+FFFD is not', () => {
  const reader = ofHex('03 efbfbd 01 ff 02 c3a9 02 61ff');
  expect([reader.string(), reader.string(), reader.string(), reader.string()]).toEqual([
    '\ufffd',
    '\ufffd',
    'é',
    'a\ufffd',
  ]);
  expect(reader.invalidStrings).toBe(2);
});

test('R1: any bytes are skipped through or refused by name', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const reader = new WireReader(Buffer.from(bytes));
      try {
        while (reader.next()) reader.skip();
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(MessageMalformed);
      }
      expect(reader.pos).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 1000 },
  );
});
