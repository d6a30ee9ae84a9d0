import fc from '../../support/properties.ts';
import { expect, test } from '@jest/globals';
import { crc32c, loadNativeCrc32c, nativeCrc32c, portableCrc32c } from '../../../core/kafka/crc32c.ts';

const counting = Buffer.from(Array.from({ length: 32 }, (_, index) => index));

/** RFC 3720, appendix B.4. */
const vectors: readonly [name: string, bytes: Buffer, crc: number][] = [
  ['nothing', Buffer.alloc(0), 0],
  ['the usual check string', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['ascending', counting, 0x46dd794e],
  ['descending', Buffer.from(counting.toReversed()), 0x113fdb5c],
];

test.each(vectors)('known answer: %s', (_name, bytes, crc) => {
  expect(portableCrc32c(bytes)).toBe(crc);
  expect(crc32c(bytes)).toBe(crc);
});

test('native and portable code agree at every length and alignment', async () => {
  const native = await nativeCrc32c();
  if (native === null) throw new Error('the optional package @node-rs/crc32 is not installed');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 20 }), (found, skip) => {
      const bytes = Buffer.from(found).subarray(skip);
      expect(native(bytes)).toBe(portableCrc32c(bytes));
    }),
  );
  expect(await loadNativeCrc32c()).toBe(true);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});
