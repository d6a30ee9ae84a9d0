import { messageOf } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { type KafkaConnection } from './connection.ts';

/**
 * Start-up check of `__consumer_offsets`, where Kafka keeps memberships and our claims. Who holds a slot is proved by a
 * commit that needs a replicated write; with one in-sync replica enough, a broker that was cut off from the others accepts
 * such commits by itself, and two workers may hold a slot for as long as it lives.
 */
export const offsetsTopic = '__consumer_offsets';

/** Where a group lies in it, as `GroupMetadataManager.partitionFor` says: Java's String.hashCode, its sign cut off. */
export function offsetsPartitionOf(groupId: string, partitions: number): number {
  let hash = 0;
  for (let at = 0; at < groupId.length; at += 1) hash = (Math.imul(hash, 31) + groupId.charCodeAt(at)) | 0;
  return (hash === -2_147_483_648 ? 0 : Math.abs(hash)) % partitions;
}

export type OffsetsVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'weak'; readonly minInsyncReplicas: number; readonly remedy: string }
  /** Neither topic nor broker say. */
  | { readonly kind: 'unknown' };

/** `ofTopic`: null while Kafka has not made the topic; then it will get what the broker says. */
export function judgeOffsetsTopic(
  brokers: number,
  ofTopic: ReadonlyMap<string, string | null> | null,
  ofBroker: ReadonlyMap<string, string | null>,
): OffsetsVerdict {
  if (brokers < 2) return { kind: 'fine' };
  const name = 'min.insync.replicas';
  const text = (ofTopic ?? ofBroker).get(name);
  const minInsyncReplicas = text === undefined || text === null || text === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(minInsyncReplicas)) return { kind: 'unknown' };
  if (minInsyncReplicas >= 2) return { kind: 'fine' };
  const remedy =
    ofTopic === null
      ? `set ${name}=2 at the brokers before the first start`
      : `kafka-configs.sh --alter --topic ${offsetsTopic} --add-config ${name}=2`;
  return { kind: 'weak', minInsyncReplicas, remedy };
}

/** One line where something is wrong or cannot be seen. Never rejects: the check must not keep anybody from starting. */
export async function checkOffsetsTopic(connection: KafkaConnection, logger: Logger): Promise<void> {
  try {
    const brokers = await connection.brokerCount();
    const [node] = connection.nodeIds;
    if (brokers < 2 || node === undefined) return;
    const [found] = await connection.describeConfigs([offsetsTopic]);
    const ofTopic = found?.code === 0 ? found.values : null;
    const ofBroker = ofTopic === null ? await connection.describeBrokerConfigs(node) : new Map<string, string>();
    const verdict = judgeOffsetsTopic(brokers, ofTopic, ofBroker);
    if (verdict.kind === 'fine') return;
    const fields = { ...verdict, topic: offsetsTopic, brokers };
    if (verdict.kind === 'weak') logger.error(fields, 'a broker cut off from the others could give our slots away');
    else logger.warn(fields, 'min.insync.replicas of the offsets topic is not known');
  } catch (thrown) {
    const fields = { topic: offsetsTopic, cause: messageOf(thrown) };
    logger.warn(fields, 'min.insync.replicas of the offsets topic is not known');
  }
}
