import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { decodeFrame, encodeFrame, framePrefix } from '../../schemas/frame.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { anyBytes } from './arbitrary.ts';

test('F1: the prefix is magic byte, schema id, and the index list [0] as one byte', () => {
  expect(framePrefix(0x01020304).toString('hex')).toBe('000102030400');
});

test('F1: a frame comes back', () => {
  fc.assert(
    fc.property(fc.nat({ max: 0x7fff_ffff }), anyBytes, (schemaId, message) => {
      expect(decodeFrame(encodeFrame(schemaId, message))).toEqual({ schemaId, message });
    }),
  );
});

test('F2: the long spelling of [0] is taken', () => {
  expect(decodeFrame(Buffer.from('000000000702 00aabb'.replace(' ', ''), 'hex'))).toEqual({
    schemaId: 7,
    message: Buffer.from('aabb', 'hex'),
  });
});

test.each([
  ['0000000007', 'has no frame'],
  ['', 'has no frame'],
  ['010000000700', 'byte 1'],
  ['00000000070202aabb', '[1]'],
  ['0000000007040204aa', '[1, 2]'],
  ['000000000702', '[]'],
  [`0000000007${'ff'.repeat(100)}`, '[]'],
])('F2: %s is refused by name', (hex, named) => {
  const decode = (): unknown => decodeFrame(Buffer.from(hex, 'hex'));
  expect(decode).toThrow(RecordMalformed);
  expect(decode).toThrow(named);
});
