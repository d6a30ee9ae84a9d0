import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/** The bytes of a Produce v7, request and response. Pure. acks=all, no transaction. */
export const produceApi = { key: 0, version: 7 } as const;

export interface ProducePart {
  readonly topic: string;
  readonly partition: number;
  /** One record batch. */
  readonly bytes: Buffer;
}

export interface ProduceAnswer {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly code: number;
  /** Of the batch's first record; -1 where the broker does not know it any more (a late duplicate). */
  readonly baseOffset: bigint;
}

/** A partition may be named once. `timeoutMs`: how long the broker waits for its replicas. */
export function encodeProduce(parts: readonly ProducePart[], timeoutMs: number): Buffer {
  const topics = new Map<string, ProducePart[]>();
  for (const part of parts) {
    const group = topics.get(part.topic);
    if (group === undefined) topics.set(part.topic, [part]);
    else group.push(part);
  }
  return new RequestBody(parts.reduce((bytes, part) => bytes + part.bytes.length + 64, 128))
    .string(null) // transactional id: batches are idempotent, not transactional
    .int16(-1) // acks=all
    .int32(timeoutMs)
    .array([...topics], (body, [topic, group]) =>
      body.string(topic).array(group, (entry, { partition, bytes }) => entry.int32(partition).bytes(bytes)),
    )
    .build();
}

/** @throws RangeError when the body ends early. */
export function decodeProduce(response: Buffer): ProduceAnswer[] {
  const topics = new ResponseBody(response).array((body) => {
    const topic = body.string();
    return body.array((entry) => {
      const partition = entry.int32();
      const code = entry.int16();
      const baseOffset = entry.int64();
      entry.int64(); // append time
      entry.int64(); // log start offset
      return { topic, partition, code, baseOffset };
    });
  });
  return topics.flat();
}
