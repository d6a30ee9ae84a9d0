import { expect, jest, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { murmur2, slotOf } from '../../schemas/slot.ts';

/** The client library's own, which has no types and is no part of its interface. */
const theirs = jest.requireActual<(key: Buffer) => number>('kafkajs/src/producer/partitioners/default/murmur2');

test('S1: murmur2 gives the values of the Java client', () => {
  const vectors: Readonly<Record<string, number>> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [key, hash] of Object.entries(vectors)) expect([key, murmur2(Buffer.from(key))]).toEqual([key, hash]);
});

test('S1: murmur2 agrees with the client library on any key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(murmur2(bytes)).toBe(theirs(Buffer.from(bytes)));
    }),
  );
});

test('S1: the slot is the sign-cleared hash modulo the number of slots', () => {
  for (const device of ['leaf-1', 'leaf-2', 'spine-äöü', '']) {
    const slot = slotOf(device, 64);
    expect(slot).toBe((theirs(Buffer.from(device)) & 0x7fffffff) % 64);
    expect(slot).toBeGreaterThanOrEqual(0);
  }
});

test('devices spread over the slots', () => {
  const counts = new Map<number, number>();
  for (let n = 0; n < 6400; n++) {
    const slot = slotOf(`leaf-${n}`, 64);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  }
  expect(counts.size).toBe(64);
  expect(Math.max(...counts.values())).toBeLessThan(200);
});
