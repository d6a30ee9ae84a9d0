import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { Credit } from '../../core/credit.ts';

const frames = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 60 });

test('CR1, CR2: a writer that obeys writes not one frame beyond, and everything in the end, whatever the reader’s pace', () => {
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 40 }), fc.infiniteStream(fc.nat(20)), (lengths, limit, pace) => {
      const underWay: number[] = [];
      let written = 0;
      let told = 0;
      const write = (): void => {
        for (let length = lengths[written]; length !== undefined; length = lengths[written]) {
          if (!credit.spend(length)) return;
          underWay.push(length);
          written += 1;
          const sum = underWay.reduce((a, b) => a + b, 0);
          expect(sum <= limit || underWay.length === 1).toBe(true); // CR1
          expect(credit.spent).toBe(sum);
        }
      };
      const credit = new Credit(limit, () => {
        told += 1;
        write();
      });
      write();
      while (underWay.length > 0) {
        const before = told;
        const waits = written < lengths.length;
        const drained = underWay.splice(0, 1 + ((pace.next().value as number) % underWay.length));
        credit.grant(drained.reduce((a, b) => a + b, 0));
        expect(told).toBe(before + (waits ? 1 : 0)); // CR2
      }
      expect(written).toBe(lengths.length);
      expect(credit.spent).toBe(0);
    }),
  );
});

test('CR1: a frame larger than the limit goes alone', () => {
  const credit = new Credit(10, () => undefined);
  expect(credit.spend(25)).toBe(true);
  expect(credit.spend(1)).toBe(false);
  credit.grant(25);
  expect([credit.spend(1), credit.spend(25), credit.covers(9), credit.covers(10)]).toEqual([true, false, true, false]);
});

test('CR2: who was not refused is not told', () => {
  let told = 0;
  const credit = new Credit(10, () => (told += 1));
  credit.spend(10);
  credit.grant(10);
  expect(told).toBe(0);
  expect(() => credit.grant(1)).toThrow('more credit granted than was spent');
});
