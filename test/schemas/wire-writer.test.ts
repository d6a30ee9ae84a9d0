import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import protobuf from 'protobufjs';
import { WireReader } from '../../schemas/wire-reader.ts';
import { WireWriter } from '../../schemas/wire-writer.ts';
import { anyText, uint32 } from './arbitrary.ts';

test('scalars are written as protobufjs writes them', () => {
  fc.assert(
    fc.property(uint32, anyText, (number, text) => {
      const ours = new WireWriter(1);
      ours.uint32Field(1, number);
      ours.stringField(2, text);
      ours.bytesField(600, Buffer.from(text));
      const theirs = protobuf.Writer.create();
      theirs.uint32(8).uint32(number).uint32(18).string(text);
      theirs.uint32(4802).bytes(Buffer.from(text));
      expect(ours.finish()).toEqual(Buffer.from(theirs.finish()));
    }),
  );
});

test.each([0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])(
  'a nested field of %i bytes is closed with its length',
  (length) => {
    const writer = new WireWriter(4);
    const start = writer.open(1);
    const content = Buffer.alloc(length, 0x61);
    for (let at = 0; at < length; at += 1000) writer.bytesField(2, content.subarray(at, at + 1000));
    writer.close(start);
    writer.uint32Field(3, 1);
    const reader = new WireReader(writer.finish());
    reader.next();
    const outerEnd = reader.enter();
    let seen = 0;
    while (reader.next()) seen += reader.buffer().length;
    reader.leave(outerEnd);
    expect(seen).toBe(length);
    expect([reader.next(), reader.field, reader.bool(), reader.next()]).toEqual([true, 3, true, false]);
  },
);

test('what 64 bits cannot hold is refused, not cut', () => {
  const writer = new WireWriter();
  expect(() => writer.varint64(2n ** 64n)).toThrow(RangeError);
  expect(() => writer.varint64(-(2n ** 63n) - 1n)).toThrow(RangeError);
});
