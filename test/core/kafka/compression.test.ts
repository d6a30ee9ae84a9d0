import { beforeAll, expect, test } from '@jest/globals';
import { compressSync } from 'snappy';
import { HoldfastError } from '../../../core/errors.ts';
import { codecNames, compressorOf, decompress, loadCodecs } from '../../../core/kafka/compression.ts';

const text = Buffer.from('holdfast '.repeat(20_000)); // 180 KB: several snappy chunks

test('a codec that is asked for by name and missing is a named error; auto falls back to gzip', () => {
  expect(compressorOf('auto')?.codec).toBe('gzip'); // nothing is loaded yet
  expect(() => compressorOf('lz4')).toThrow(HoldfastError);
  expect(() => compressorOf('zstd')).toThrow('@mongodb-js/zstd');
  expect(() => decompress(2, text)).toThrow('codec snappy is not available');
});

test('a codec number that Kafka does not know is named', () => {
  expect(() => decompress(7, text)).toThrow('codec 7');
});

describe('with the optional packages', () => {
  beforeAll(loadCodecs);

  test.each(codecNames.filter((name) => name !== 'none'))('%s there and back', async (name) => {
    const packed = await compressorOf(name)!.compress(text);
    expect(packed.length).toBeLessThan(text.length / 5);
    expect((await decompress(codecNames.indexOf(name), packed)).equals(text)).toBe(true);
  });

  test('auto is lz4, for large batches', () => {
    expect(compressorOf('auto')).toMatchObject({ codec: 'lz4', bytesMin: 32_768 });
    expect(compressorOf('none')).toBeNull();
  });

  test('snappy reads bare blocks and the framing of Java producers', () => {
    expect(decompress(2, compressSync(text))).toEqual(text);
    const framed = compressorOf('snappy')!.compress(text) as Buffer;
    expect(framed.subarray(0, 8)).toEqual(Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]));
    expect(() => decompress(2, framed.subarray(0, framed.length - 3))).toThrow(RangeError);
    for (const length of [0, -4, -20, 0x7fffffff]) {
      const damaged = Buffer.from(framed);
      damaged.writeInt32BE(length, 16); // of the first chunk
      expect(() => decompress(2, damaged)).toThrow(RangeError);
    }
  });
});
