import fc from '../../support/properties.ts';
import { beforeAll, describe, expect, test } from '@jest/globals';
import encodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/index.js';
import { RecordBatch } from 'kafkajs/src/protocol/recordBatch/v0/index.js';
import { codecNames, compressorOf, loadCodecs } from '../../../core/kafka/compression.ts';
import {
  BatchBuilder,
  BatchCorrupt,
  batchHeaderLength,
  decodeBatches,
  decodeRecords,
  type SealedBatch,
} from '../../../core/kafka/record-batch.ts';

interface Row {
  key: Buffer | null;
  value: Buffer | null;
  header: Buffer | null;
  timestampMs: number;
}

const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((found) => Buffer.from(found));
const row: fc.Arbitrary<Row> = fc.record({
  key: fc.option(bytes(40)),
  value: fc.option(bytes(300)),
  header: fc.option(bytes(40)),
  timestampMs: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_010_000 }),
    fc.integer({ min: 0, max: 9_000_000_000_000 }),
  ),
});
const rows = fc.array(row, { minLength: 1, maxLength: 200 });
const producer = fc.record({
  id: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  epoch: fc.integer({ min: 0, max: 32_767 }),
  sequence: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
});

function built(records: readonly Row[], builder = new BatchBuilder()): SealedBatch {
  for (const { key, value, header, timestampMs } of records) {
    const before = builder.length;
    const size = builder.append(key, null, value, header, timestampMs);
    expect(builder.length - before).toBe(size);
  }
  const sealed = builder.seal();
  if (sealed instanceof Promise) throw new Error('an uncompressed batch is sealed at once');
  return sealed;
}

async function decoded(section: Buffer): Promise<Row[]> {
  const found: Row[] = [];
  for (const batch of decodeBatches(section)) {
    for (const record of await decodeRecords(batch)) {
      const { key, value, header } = record;
      found.push({ key, value, header, timestampMs: record.timestampMs });
    }
  }
  return found;
}

test('B1, B2: byte-identical to kafkajs for random records', async () => {
  await fc.assert(
    fc.asyncProperty(rows, producer, async (records, { id, epoch, sequence }) => {
      const first = records[0]!.timestampMs;
      const theirs = await RecordBatch({
        firstOffset: 0,
        firstTimestamp: first,
        maxTimestamp: Math.max(...records.map(({ timestampMs }) => timestampMs)),
        lastOffsetDelta: records.length - 1,
        producerId: id.toString(),
        producerEpoch: epoch,
        firstSequence: sequence,
        records: records.map(({ key, value, header, timestampMs }, offsetDelta) =>
          encodeRecord({
            offsetDelta,
            timestampDelta: timestampMs - first,
            key,
            value,
            headers: header === null ? {} : { hf: header },
          }),
        ),
      });
      expect(built(records).bytesOf(id, epoch, sequence).equals(theirs.buffer)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test('what was appended comes back, whatever was encoded before with the same builder', async () => {
  const builder = new BatchBuilder();
  await fc.assert(
    fc.asyncProperty(rows, async (records) => {
      expect(await decoded(built(records, builder).anonymousBytes())).toEqual(records);
    }),
  );
});

test('a sealed batch keeps its bytes while the builder goes on', async () => {
  const builder = new BatchBuilder();
  const one = (fill: number, length: number): Row[] => [
    { key: null, value: Buffer.alloc(length, fill), header: null, timestampMs: 1 },
  ];
  const large = built(one(1, 5_000), builder);
  const small = built(one(2, 10), builder);
  built(one(3, 5_000), builder);
  expect(await decoded(large.anonymousBytes())).toEqual(one(1, 5_000));
  expect(await decoded(small.anonymousBytes())).toEqual(one(2, 10));
});

test('the frame prefix and the value become one value, and a tombstone stays one', async () => {
  const builder = new BatchBuilder();
  builder.append(Buffer.from('k'), Buffer.from([1, 2]), Buffer.from([3]), null, 5);
  builder.append(Buffer.from('k'), Buffer.from([1, 2]), null, null, 5);
  const sealed = await builder.seal();
  expect((await decoded(sealed.anonymousBytes())).map(({ value }) => value)).toEqual([Buffer.from([1, 2, 3]), null]);
});

test('B3: the producer can be set again, and only its fields and the CRC change', () => {
  const sealed = built([{ key: null, value: Buffer.from('v'), header: null, timestampMs: 1 }]);
  const first = Buffer.from(sealed.bytesOf(7n, 1, 100));
  const again = Buffer.from(sealed.bytesOf(7n, 2, 0));
  expect(decodeBatches(first)[0]).toMatchObject({ producerId: 7n, producerEpoch: 1, baseSequence: 100 });
  expect(decodeBatches(again)[0]).toMatchObject({ producerId: 7n, producerEpoch: 2, baseSequence: 0 });
  expect(first.subarray(batchHeaderLength).equals(again.subarray(batchHeaderLength))).toBe(true);
});

test('B4: the next offset is behind the batch, also of an empty one', async () => {
  const batch = Buffer.from(built(Array.from({ length: 9 }, () => plain)).anonymousBytes());
  batch.writeBigInt64BE(1_000n, 0); // not covered by the CRC: the broker sets it
  const [first] = decodeBatches(batch);
  expect(first?.nextOffset).toBe(1_009n);
  const records = await decodeRecords(first!);
  expect(records.map(({ offset }) => offset)).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((delta) => 1_000n + BigInt(delta)),
  );
  expect(await decodeRecords({ ...first!, recordCount: 0, records: Buffer.alloc(0) })).toEqual([]);
});

const plain: Row = { key: null, value: Buffer.from('v'), header: null, timestampMs: 1 };

test('control batches have no records', () => {
  const [batch] = decodeBatches(built([plain]).anonymousBytes());
  expect(decodeRecords({ ...batch!, isControl: true })).toEqual([]);
});

test('a batch that is cut off is left out; the ones before it count', () => {
  const one = Buffer.from(built([plain]).anonymousBytes());
  const section = Buffer.concat([one, one]);
  for (let length = 0; length < section.length; length += 1) {
    expect(decodeBatches(section.subarray(0, length))).toHaveLength(length < one.length ? 0 : 1);
  }
  expect(decodeBatches(section)).toHaveLength(2);
});

test('any changed byte under the CRC is found', () => {
  const batch = built([plain, plain]).anonymousBytes();
  for (let at = 21; at < batch.length; at += 1) {
    const damaged = Buffer.from(batch);
    damaged[at] = damaged[at]! ^ 0x10;
    expect(() => decodeBatches(damaged)).toThrow(BatchCorrupt);
  }
});

test('damage that the CRC cannot see, because it was there before, is an error and not a hang', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 60 }),
      fc.integer({ min: 1, max: 50 }),
      async (records, recordCount) => {
        const [batch] = decodeBatches(built([plain]).anonymousBytes());
        try {
          await decodeRecords({ ...batch!, recordCount, records: Buffer.from(records) });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(BatchCorrupt);
        }
      },
    ),
  );
});

describe('compression', () => {
  beforeAll(loadCodecs);

  for (const name of codecNames) {
    test(`${name}: what was appended comes back`, async () => {
      const records = Array.from({ length: 2_000 }, (_, index) => ({
        ...plain,
        value: Buffer.from(`value ${index % 7}`),
      }));
      const builder = new BatchBuilder();
      for (const { key, value, header, timestampMs } of records) builder.append(key, null, value, header, timestampMs);
      const uncompressed = builder.length;
      const sealed = await builder.seal(compressorOf(name));
      const section = sealed.anonymousBytes();
      expect(decodeBatches(section)[0]).toMatchObject({ codec: codecNames.indexOf(name), recordCount: 2_000 });
      if (name !== 'none') expect(sealed.length).toBeLessThan(uncompressed / 2);
      expect(await decoded(section)).toEqual(records);
    });
  }

  test('small batches and those that do not shrink stay as they are', async () => {
    const builder = new BatchBuilder();
    builder.append(null, null, Buffer.alloc(20_000), null, 1);
    expect(decodeBatches((await builder.seal(compressorOf('auto'))).anonymousBytes())[0]?.codec).toBe(0);
    const noise = Buffer.from(
      fc.sample(fc.uint8Array({ minLength: 40_000, maxLength: 40_000 }), { numRuns: 1, seed: 1 })[0]!,
    );
    builder.append(null, null, noise, null, 1);
    const [batch] = decodeBatches((await builder.seal(compressorOf('gzip'))).anonymousBytes());
    expect((await decodeRecords(batch!))[0]?.value?.equals(noise)).toBe(true);
  });
});
