import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { CursorMalformed, decodeCursor, encodeCursor, isOfOtherLog, logTag } from '../../schemas/cursor.ts';
import { uint64 } from './arbitrary.ts';

const positions = fc
  .uniqueArray(fc.record({ slot: fc.nat({ max: 0xffff }), epoch: uint64, seq: uint64 }), { selector: (p) => p.slot })
  .map((list) => [...list].sort((a, b) => a.slot - b.slot));
const tags = fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('base64url'))); // prettier-ignore

test('a cursor comes back exactly, whatever the order it was made in', () => {
  fc.assert(
    fc.property(positions, tags, (list, tag) => {
      const text = encodeCursor(list, tag);
      expect(text).toMatch(/^1\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]{6})?$/);
      expect(decodeCursor(text)).toEqual({ positions: list, tag });
      expect(encodeCursor([...list].reverse(), tag)).toBe(text);
    }),
  );
});

test('the bytes are those of the contract', () => {
  // slot 3; zigzag(5) = 10; seq 300 | slot +4; zigzag(-1) = 1; seq 0
  const cursor = encodeCursor([
    { slot: 7, epoch: 1699999999999n, seq: 0n },
    { slot: 3, epoch: 1700000000005n, seq: 300n },
  ]);
  expect(cursor).toBe(`1.${Buffer.from([3, 10, 0xac, 0x02, 4, 1, 0]).toString('base64url')}`);
  expect(encodeCursor([])).toBe('1.');
});

test('a tag tells logs apart, and only where both sides say which they mean', () => {
  const topicId = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
  // the first 4 bytes of SHA-256 over the cluster id and the 16 bytes
  const tag = createHash('sha256').update('cluster').update(topicId).digest().subarray(0, 4).toString('base64url');
  expect(logTag('cluster', topicId)).toBe(tag);
  const other = logTag('another', topicId);
  const cursor = decodeCursor(encodeCursor([{ slot: 3, epoch: 1n, seq: 1n }], tag));
  expect([isOfOtherLog(cursor, tag), isOfOtherLog(cursor, other), isOfOtherLog(cursor, null)]).toEqual([false, true, false]); // prettier-ignore
  expect(isOfOtherLog({ ...cursor, tag: null }, other)).toBe(false);
});

test('a slot twice is refused', () => {
  const position = { slot: 3, epoch: 1n, seq: 1n };
  expect(() => encodeCursor([position, position])).toThrow(RangeError);
});

const ofBytes = (...bytes: number[]): string => `1.${Buffer.from(bytes).toString('base64url')}`;

test.each([
  ['empty', ''],
  ['of another version', '2.AAAA'],
  ['with foreign characters', '1.AA*A'],
  ['with an empty tag', '1..'],
  ['with a tag too short', '1..AAAA'],
  ['with a tag of bits beyond its bytes', '1..AAAAAB'],
  ['with four parts', '1..AAAAAA.'],
  ['with padding', `1.${Buffer.from([3, 10]).toString('base64')}=`],
  ['that ends inside a number', ofBytes(3, 10, 0xac)],
  ['that ends inside a position', ofBytes(3, 10)],
  ['with a slot twice', ofBytes(3, 10, 1, 0, 10, 1)],
  ['with a slot too large', ofBytes(0x80, 0x80, 0x04, 10, 1)],
  ['with a number in more bytes than it needs', ofBytes(0x83, 0x00, 10, 1)],
  ['with a number without end', ofBytes(...Array.from({ length: 30 }, () => 0xff))],
  [
    'with an epoch below zero',
    encodeCursor([]) + Buffer.from([0, ...Array.from({ length: 8 }, () => 0xff), 0x7f, 0]).toString('base64url'),
  ],
])('K1: a cursor %s is refused', (_why, text) => {
  expect(() => decodeCursor(text)).toThrow(CursorMalformed);
});

test('K1: any text is decoded or refused by name, and one set of positions has one text', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from('ABCDabcd0189_-.')) }), (body) => {
      let cursor;
      try {
        cursor = decodeCursor(`1.${body}`);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(CursorMalformed);
        return;
      }
      expect(encodeCursor(cursor.positions, cursor.tag)).toBe(`1.${body}`);
    }),
  );
});
