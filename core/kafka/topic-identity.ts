import { type KafkaConnection } from './connection.ts';
import { KafkaError, kafkaErrorOfCode } from './errors.ts';
import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/**
 * Which log a topic's name stands for: the cluster's id and the id that Kafka gave the topic when it was made. Metadata
 * v10, in Kafka's flexible encoding: its headers end in a byte for tags, which to us is the first byte of the body.
 */
export interface TopicIdentity {
  readonly clusterId: string;
  /** 16 bytes. */
  readonly topicId: Buffer;
}

const metadataApi = { key: 3, version: 10 } as const;
const topicIdBytes = 16;
const noTags = 0;

/** Null: the brokers know no topic ids (before Kafka 2.8). Rejects with a `KafkaError`, also where there is no topic. */
export async function topicIdentity(connection: KafkaConnection, topic: string): Promise<TopicIdentity | null> {
  await connection.refreshMetadata([topic]);
  const node = connection.leaderOf(topic, 0) ?? connection.nodeIds[0];
  if (node === undefined) throw kafkaErrorOfCode(5, `identity of ${topic}`); // LEADER_NOT_AVAILABLE
  try {
    const body = encodeIdentityRequest(topic);
    const answer = await connection.broker(node).send(metadataApi.key, metadataApi.version, body);
    return decodeIdentity(answer);
  } catch (thrown) {
    const unsupportedVersion = 35;
    if (thrown instanceof KafkaError && thrown.code === unsupportedVersion) return null;
    throw thrown;
  }
}

export function encodeIdentityRequest(topic: string): Buffer {
  return new RequestBody()
    .int8(noTags) // end of the header
    .compactArray([topic], (item, name) => item.raw(Buffer.alloc(topicIdBytes)).compactString(name).int8(noTags))
    .boolean(false) // creates no topic
    .boolean(false) // nor asks what we may do with the cluster
    .boolean(false) // or with the topic
    .int8(noTags)
    .build();
}

/** Throws a `KafkaError` where there is no such topic, RangeError when the body ends early. */
export function decodeIdentity(bytes: Buffer): TopicIdentity | null {
  const body = new ResponseBody(bytes);
  body.tags(); // end of the header
  body.int32(); // throttle time
  body.compactArray((broker) => {
    broker.int32();
    broker.compactString(); // host
    broker.int32();
    broker.compactString(); // rack
    broker.tags();
  });
  const clusterId = body.compactString() ?? '';
  body.int32(); // controller
  const topics = body.uvarint() - 1;
  if (topics < 1) throw kafkaErrorOfCode(3, 'a topic'); // UNKNOWN_TOPIC_OR_PARTITION
  const code = body.int16();
  const name = body.compactString() ?? '';
  if (code !== 0) throw kafkaErrorOfCode(code, `identity of ${name}`);
  const topicId = Buffer.from(body.raw(topicIdBytes)); // a copy: the view would keep the answer
  return topicId.every((byte) => byte === 0) ? null : { clusterId, topicId };
}
