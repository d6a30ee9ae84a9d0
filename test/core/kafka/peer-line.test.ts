import { describe, expect, test } from '@jest/globals';
import fc from '../../support/properties.ts';
import { formatPeerLine, parsePeerLine, peerLineBytesMax } from '../../../core/kafka/peer-line.ts';

const incarnation = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !/[ \n]/.test(text));
const memberId = fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }).filter((text) => !text.includes('\n'));

describe('the line of a peer', () => {
  test('is read as it was written, whatever characters the client id brought into the member id', () => {
    fc.assert(
      fc.property(incarnation, memberId, (who, id) => {
        const bytes = formatPeerLine({ incarnation: who, memberId: id });
        expect(bytes.indexOf('\n')).toBe(bytes.length - 1);
        expect(parsePeerLine(bytes.subarray(0, -1))).toEqual({ incarnation: who, memberId: id });
      }),
    );
  });

  test.each(['', ' ', 'one-word', ' m-1', 'i-1 '])('`%s` is none', (text) => {
    expect(parsePeerLine(Buffer.from(text))).toBeNull();
  });

  test('a member id of the longest client id that a setting may hold fits', () => {
    const line = { incarnation: 'a'.repeat(36), memberId: `${'é'.repeat(200)}-${'b'.repeat(36)}` };
    expect(formatPeerLine(line).length).toBeLessThanOrEqual(peerLineBytesMax);
  });
});
