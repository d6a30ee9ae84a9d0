import kafkajsFetch from 'kafkajs/src/protocol/requests/fetch/v11/request.js';
import { decodeFetch, encodeFetch, type FetchTarget } from '../../../core/kafka/fetch-protocol.ts';
import { RequestBody } from '../../../core/kafka/request-body.ts';

const limits = { maxWaitMs: 500, maxBytes: 4_194_304, partitionMaxBytes: 1_048_576 };

/** By kafkajs' own encoder, an independent spelling of the same request. */
async function reference(topics: { topic: string; partitions: { partition: number; fetchOffset: string }[] }[]) {
  const request = kafkajsFetch({
    replicaId: -1,
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.maxBytes,
    isolationLevel: 0,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((entry) => ({ ...entry, maxBytes: limits.partitionMaxBytes })),
    })),
  });
  return (await request.encode()).buffer;
}

test.each<{ name: string; targets: FetchTarget[]; same: Parameters<typeof reference>[0] }>([
  { name: 'nothing', targets: [], same: [] },
  {
    name: 'one partition',
    targets: [{ topic: 'holdfast.telemetry', partition: 7, fetchOffset: 9_007_199_254_740_993n }],
    same: [{ topic: 'holdfast.telemetry', partitions: [{ partition: 7, fetchOffset: '9007199254740993' }] }],
  },
  {
    name: 'the order of the targets, the same topic twice',
    targets: [
      { topic: 'a', partition: 1, fetchOffset: 0n },
      { topic: 'a', partition: 0, fetchOffset: 5n },
      { topic: 'é', partition: 0, fetchOffset: 1n },
      { topic: 'a', partition: 2, fetchOffset: 2n },
    ],
    same: [
      {
        topic: 'a',
        partitions: [
          { partition: 1, fetchOffset: '0' },
          { partition: 0, fetchOffset: '5' },
        ],
      },
      { topic: 'é', partitions: [{ partition: 0, fetchOffset: '1' }] },
      { topic: 'a', partitions: [{ partition: 2, fetchOffset: '2' }] },
    ],
  },
])('a Fetch request has the bytes of another encoder: $name', async ({ targets, same }) => {
  expect(encodeFetch(targets, limits).toString('hex')).toBe((await reference(same)).toString('hex'));
});

function response(records: Buffer | null): Buffer {
  return new RequestBody()
    .int32(25)
    .int16(0)
    .int32(0)
    .array(['t'], (body, topic) =>
      body.string(topic).array([3], (entry, partition) =>
        entry
          .int32(partition)
          .int16(1)
          .int64(900n)
          .int64(899n)
          .int64(10n)
          .array([[4n, 5n]], (aborted, [id = 0n, first = 0n]) => aborted.int64(id).int64(first))
          .int32(-1)
          .bytes(records),
      ),
    )
    .build();
}

test('a Fetch response gives what the broker said of each partition', () => {
  const records = Buffer.from('batches');
  expect(decodeFetch(response(records))).toEqual({
    throttleMs: 25,
    errorCode: 0,
    partitions: [{ topic: 't', partition: 3, errorCode: 1, highWatermark: 900n, logStartOffset: 10n, records }],
  });
});

test('null records read as none, and a response that ends early is an error', () => {
  expect(decodeFetch(response(null)).partitions[0]?.records).toHaveLength(0);
  const whole = response(Buffer.from('batches'));
  expect(() => decodeFetch(whole.subarray(0, whole.length - 1))).toThrow(RangeError);
});
