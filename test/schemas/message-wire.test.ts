import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  type Reader,
  type Writer,
  enter,
  finish,
  leave,
  malformed,
  newReader,
  newWriter,
  readBool,
  readBytes,
  readInt64,
  readTag,
  readText,
  readUint32,
  readUint64,
  writeInt64,
  writeText,
} from '../../schemas/message-wire.ts';
import { MessageMalformed, WireReader } from '../../schemas/wire-reader.ts';
import { anyText, int64, uint64 } from './arbitrary.ts';

const ofHex = (hex: string): Reader => newReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

function written(write: (writer: Writer) => void): Buffer {
  const writer = newWriter();
  write(writer);
  return finish(writer);
}

test('P1: 64-bit integers come back exactly', () => {
  fc.assert(
    fc.property(int64, uint64, (signed, unsigned) => {
      const bytes = written((writer) => {
        writeInt64(writer, signed);
        writeInt64(writer, unsigned);
      });
      const reader = newReader(bytes);
      expect([readInt64(reader), readUint64(reader), readTag(reader)]).toEqual([signed, unsigned, undefined]);
    }),
  );
});

test('P1: what 64 bits cannot hold is refused, not cut', () => {
  expect(() => written((writer) => writeInt64(writer, 2n ** 64n))).toThrow(RangeError);
  expect(() => written((writer) => writeInt64(writer, -(2n ** 63n) - 1n))).toThrow(RangeError);
});

test.each([
  ['01', 1],
  ['ff ff ff ff 0f', 0xffff_ffff],
  ['85 80 80 80 80 01', 5],
  ['85 80 80 80 80 80 80 01', 5],
  ['ff ff ff ff ff ff ff ff ff 01', 0xffff_ffff],
])('the low 32 bits of a number, in however many bytes it is: %s', (hex, value) => {
  const reader = ofHex(`${hex} 2a`);
  expect([readUint32(reader), readUint32(reader)]).toEqual([value, 42]);
});

test('a flag is what is not 0 in any of 64 bits', () => {
  const reader = ofHex('00 01 80 80 80 80 80 80 01');
  expect([readBool(reader), readBool(reader), readBool(reader)]).toEqual([false, true, true]);
});

test('P2: a number cut off anywhere is refused', () => {
  const whole = Buffer.from('ffffffffffffffffff01', 'hex');
  for (let length = 0; length < whole.length; length++) {
    const nested = Buffer.concat([Buffer.from([length]), whole.subarray(0, length), Buffer.from([1, 1, 1, 1, 1])]);
    for (const read of [readUint64, readInt64, readUint32, readBool]) {
      expect(() => refusing(() => read(newReader(whole.subarray(0, length))))).toThrow(MessageMalformed);
      expect(() =>
        refusing(() => {
          const reader = newReader(nested);
          enter(reader);
          read(reader);
        }),
      ).toThrow(MessageMalformed);
    }
  }
});

function refusing(read: () => unknown): void {
  try {
    read();
  } catch (thrown) {
    throw malformed(thrown);
  }
}

test.each([
  ['05 61', readText],
  ['05 61', readBytes],
  ['ff ff ff ff 0f', readText],
  ['02 61', enter],
  ['80', readTag],
  ['07', readTag],
])('P2: %s is refused', (hex, read: (reader: Reader) => unknown) => {
  expect(() => refusing(() => read(ofHex(hex)))).toThrow(MessageMalformed);
});

test('P2: inside a nested message nothing behind it is read', () => {
  const reader = ofHex('02 03 61 62 63');
  const outerEnd = enter(reader);
  expect(() => refusing(() => readText(reader))).toThrow(MessageMalformed);
  expect(outerEnd).toBe(5);
  const other = ofHex('02 0801 08');
  const end = enter(other);
  expect([readTag(other), readUint32(other), readTag(other)]).toEqual([8, 1, undefined]);
  leave(other, end);
  expect(readTag(other)).toBe(8);
});

test('P3: what is written is UTF-8, half a surrogate pair too', () => {
  const bytes = written((writer) => writeText(writer, 'a\ud800b'));
  expect(bytes.toString('hex')).toBe('05' + '61efbfbd62');
  fc.assert(
    fc.property(anyText, (text) => {
      expect(readText(newReader(written((writer) => writeText(writer, text))))).toBe(text);
    }),
  );
});

test('P3, L5: strings are read as the data path reads them, UTF-8 or not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (content) => {
      const bytes = Buffer.concat([Buffer.from([content.length]), content]);
      expect(readText(newReader(bytes))).toBe(new WireReader(bytes).string());
    }),
  );
});

test('errors that are not about the bytes stay what they are', () => {
  const bug = new TypeError('a bug');
  expect(malformed(bug)).toBe(bug);
  expect(malformed('text')).toBe('text');
  expect(malformed(new RangeError('index out of range'))).toBeInstanceOf(MessageMalformed);
});
