import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/**
 * The bytes that Kafka's own consumers exchange in Join and Sync. Well formed, so that the broker sees the subscription
 * (and keeps the group's offsets) and stock tools show members with their partitions; what is ours travels as userData.
 */
export function encodeSubscription(topic: string, userData: Buffer): Buffer {
  return new RequestBody()
    .int16(0)
    .array([topic], (body, name) => body.string(name))
    .bytes(userData)
    .build();
}

export function decodeSubscription(bytes: Buffer): Buffer {
  const body = new ResponseBody(bytes);
  body.int16(); // version
  body.array((item) => item.string());
  return body.bytes();
}

export function encodeAssignment(topic: string, partitions: readonly number[], userData: Buffer): Buffer {
  return new RequestBody()
    .int16(0)
    .array(partitions.length === 0 ? [] : [topic], (body, name) =>
      body.string(name).array(partitions, (item, partition) => item.int32(partition)),
    )
    .bytes(userData)
    .build();
}

/** Empty bytes: the leader gave us nothing. */
export function decodeAssignment(bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const body = new ResponseBody(bytes);
  body.int16(); // version
  body.array((item) => {
    item.string();
    return item.array((partition) => partition.int32());
  });
  return body.bytes();
}
