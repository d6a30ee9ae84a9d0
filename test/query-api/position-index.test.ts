import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { PositionIndex, type IndexEntry } from '../../query-api/position-index.ts';
import { RecordMalformed } from '../../schemas/position.ts';

const options = { entriesMax: 16, windowMs: 1_000 };
const entry = (seq: number, nextOffset: number, logTimeMs: number, epoch = 1): IndexEntry => ({
  epoch: BigInt(epoch),
  seq: BigInt(seq),
  nextOffset: BigInt(nextOffset),
  logTimeMs,
});

/** Entries as a log makes them: positions, offsets and times rise, epochs now and then. */
const log = fc
  .array(
    fc.record({
      seqs: fc.nat({ max: 3 }),
      isNewEpoch: fc.boolean(),
      offsets: fc.integer({ min: 1, max: 9 }),
      ms: fc.nat({ max: 300 }),
    }),
    { maxLength: 120 },
  )
  .map((steps) => {
    let at = { epoch: 1, seq: 1, offset: 0, ms: 0 };
    return steps.map(({ seqs, isNewEpoch, offsets, ms }) => {
      const epoch = isNewEpoch && seqs === 3 ? at.epoch + 2 : at.epoch;
      at = { epoch, seq: epoch === at.epoch ? at.seq + seqs : 1, offset: at.offset + offsets, ms: at.ms + ms };
      return entry(at.seq, at.offset, at.ms, at.epoch);
    });
  });

test('X1, X3: what is found lies at or below the position, and nothing found within the window is far below', () => {
  fc.assert(
    fc.property(log, fc.nat({ max: 10 }), fc.nat({ max: 200 }), (entries, epoch, seq) => {
      const index = new PositionIndex(options);
      for (const one of entries) index.add(one, one.logTimeMs);
      expect(index.size).toBeLessThanOrEqual(options.entriesMax);
      const after = { epoch: BigInt(epoch), seq: BigInt(seq) };
      const isBehind = (one: IndexEntry) =>
        one.epoch > after.epoch || (one.epoch === after.epoch && one.seq > after.seq);
      const found = index.find(after);
      const best = entries.findLast((one) => !isBehind(one)) ?? null;
      if (found !== null) expect(isBehind(found)).toBe(false);
      if (best === null) expect(found).toBeNull();
      else if (best.logTimeMs > (index.last?.logTimeMs ?? 0) - options.windowMs && entries.length <= options.entriesMax)
        expect(found?.nextOffset).toBe(best.nextOffset);
      // The youngest of a position that only the log has gone beyond.
      if (best !== null && index.last?.epoch === best.epoch && index.last.seq === best.seq) expect(found).toEqual(best);
    }),
  );
});

test('X3: the index reaches back over the whole window, however many batches there are in it', () => {
  const index = new PositionIndex(options);
  for (let n = 1; n <= 10_000; n += 1) index.add(entry(n, n, n), n);
  expect(index.size).toBeLessThanOrEqual(16);
  for (let seq = 9_100; seq <= 10_000; seq += 1) {
    const found = index.find({ epoch: 1n, seq: BigInt(seq) });
    expect(found).not.toBeNull();
    expect(seq - Number(found!.seq)).toBeLessThanOrEqual(125); // eight entries for a second
  }
  expect(index.find({ epoch: 1n, seq: 5_000n })).toBeNull();
});

test('a position that the log had no more of when a higher epoch came is none of this log', () => {
  const index = new PositionIndex(options);
  index.add(entry(5, 10, 1), 1);
  index.ended({ epoch: 1n, seq: 8n });
  index.add(entry(3, 20, 2, 4), 2);
  const had = (epoch: number, seq: number) => index.mayHaveHad({ epoch: BigInt(epoch), seq: BigInt(seq) });
  expect([had(1, 5), had(1, 8), had(1, 9), had(2, 1), had(4, 3), had(4, 99), had(9, 1)]).toEqual(
    [true, true, false, false, true, true, true], // prettier-ignore
  );
  expect(had(0, 7)).toBe(true); // before the first entry nothing is known
});

test('what was encoded comes back; other bytes are refused', () => {
  fc.assert(
    fc.property(log, (entries) => {
      const index = new PositionIndex(options);
      for (const one of entries) index.add(one, one.logTimeMs);
      const bytes = index.encode();
      const decoded = PositionIndex.decode(bytes, options);
      expect(decoded.encode()).toEqual(bytes);
      for (const one of entries) expect(decoded.find(one)).toEqual(index.find(one));
      for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.alloc(4)])
        expect(() => PositionIndex.decode(wrong, options)).toThrow(RecordMalformed);
    }),
  );
});
