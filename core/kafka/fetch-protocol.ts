import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/**
 * The bytes of a Fetch v11, request and response, as Kafka's protocol guide has them. Pure. The version is fixed: every
 * broker that the product supports speaks it, and later ones replace topic names by topic ids.
 */
export const fetchApi = { key: 1, version: 11 } as const;

export interface FetchTarget {
  readonly topic: string;
  readonly partition: number;
  readonly fetchOffset: bigint;
}

export interface FetchLimits {
  /** How long the broker may hold the request back while there is nothing to send. */
  readonly maxWaitMs: number;
  /** Soft limit of the response: its first batch comes whole, however large it is. */
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: bigint;
  readonly logStartOffset: bigint;
  /** Record batches, the last one possibly cut off; a view of the response. */
  readonly records: Buffer;
}

export interface FetchResponse {
  readonly throttleMs: number;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

const replicaId = -1; // a client, not a broker
const readUncommitted = 0; // nothing of ours is transactional
const noSession = { id: 0, epoch: -1 }; // a full fetch: incremental sessions save bytes, and cost state on both sides

/** Body of a Fetch request. The order of `targets` is the order in which the broker fills the response. */
export function encodeFetch(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
  return new RequestBody()
    .int32(replicaId)
    .int32(limits.maxWaitMs)
    .int32(1) // min bytes: answer as soon as there is anything
    .int32(limits.maxBytes)
    .int8(readUncommitted)
    .int32(noSession.id)
    .int32(noSession.epoch)
    .array(groupByTopic(targets), (body, [topic, partitions]) =>
      body.string(topic).array(partitions, (entry, { partition, fetchOffset }) =>
        entry
          .int32(partition)
          .int32(-1) // leader epoch: not tracked
          .int64(fetchOffset)
          .int64(-1n) // log start offset: a follower's field
          .int32(limits.partitionMaxBytes),
      ),
    )
    .int32(0) // forgotten topics
    .string('') // rack
    .build();
}

/** @throws RangeError when the body ends early. */
export function decodeFetch(response: Buffer): FetchResponse {
  const body = new ResponseBody(response);
  const throttleMs = body.int32();
  const errorCode = body.int16();
  body.int32(); // session id: none was asked for
  const topics = body.array(() => {
    const topic = body.string();
    return body.array(() => decodeFetchedPartition(topic, body));
  });
  return { throttleMs, errorCode, partitions: topics.flat() };
}

function decodeFetchedPartition(topic: string, body: ResponseBody): FetchedPartition {
  const partition = body.int32();
  const errorCode = body.int16();
  const highWatermark = body.int64();
  body.int64(); // last stable offset
  const logStartOffset = body.int64();
  body.array(() => [body.int64(), body.int64()]); // aborted transactions
  body.int32(); // preferred read replica
  return { topic, partition, errorCode, highWatermark, logStartOffset, records: body.bytes() };
}

/** Runs of the same topic become one entry; a topic may come twice, so that the order of the targets survives. */
function groupByTopic<T extends { readonly topic: string }>(targets: readonly T[]): [string, T[]][] {
  const groups: [string, T[]][] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    if (last?.[0] === target.topic) last[1].push(target);
    else groups.push([target.topic, [target]]);
  }
  return groups;
}
