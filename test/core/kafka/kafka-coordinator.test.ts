import { describe, expect, test } from '@jest/globals';
import { KafkaError } from '../../../core/kafka/errors.ts';
import { refusalOf, twinOf } from '../../../core/kafka/kafka-coordinator.ts';

/** Java’s String.hashCode as its documentation has it: s[0]·31^(n−1) + … + s[n−1], in 32 bits. */
function javaHashOf(text: string): number {
  let sum = 0n;
  for (let at = 0; at < text.length; at += 1) sum += BigInt(text.charCodeAt(at)) * 31n ** BigInt(text.length - 1 - at);
  return Number(BigInt.asIntN(32, sum));
}

/** Kafka’s `Utils.abs(groupId.hashCode()) % partitions`. */
function partitionOf(groupId: string, partitions: number): number {
  const hash = javaHashOf(groupId);
  return (hash === -2_147_483_648 ? 0 : Math.abs(hash)) % partitions;
}

describe('the group beside ours (KC3)', () => {
  test.each([
    ['', 0],
    ['abc', 96_354],
    ['hello world', 1_794_106_052],
    ['polygenelubricants', -2_147_483_648],
  ])('the yardstick: "%s".hashCode() is %d in Java', (text, hash) => {
    expect(javaHashOf(text)).toBe(hash);
  });

  const ids = [
    'abc',
    'holdfast-ingest',
    'holdfast-replicator',
    'site 7/é-ingest',
    'polygenelubricants',
    'x'.repeat(249),
  ];
  const cases = ids.flatMap((id) => [1, 8, 50].map((partitions) => [id, partitions] as const));
  test.each(cases)(
    '%s: of %d partitions it is in the same one as Kafka counts, with the lowest number',
    (id, partitions) => {
      const twin = twinOf(id, partitions);
      const [, digits = ''] = /-probe-(\d+)$/.exec(twin) ?? [];
      expect(twin).toBe(`${id}-probe-${digits}`);
      expect(partitionOf(twin, partitions)).toBe(partitionOf(id, partitions));
      for (let n = 0; n < Number(digits); n += 1) {
        expect(partitionOf(`${id}-probe-${n}`, partitions)).not.toBe(partitionOf(id, partitions));
      }
    },
  );
});

describe('what an error of a group request means', () => {
  test.each([
    ['UNKNOWN_MEMBER_ID', 'unknown-member'],
    ['FENCED_INSTANCE_ID', 'unknown-member'],
    ['ILLEGAL_GENERATION', 'illegal-generation'],
    ['REBALANCE_IN_PROGRESS', 'rebalance'],
    ['INVALID_SESSION_TIMEOUT', 'fatal'],
    ['INCONSISTENT_GROUP_PROTOCOL', 'fatal'],
    ['OFFSET_METADATA_TOO_LARGE', 'refused'],
    ['NOT_COORDINATOR_FOR_GROUP', 'lost'],
    ['GROUP_LOAD_IN_PROGRESS', 'lost'],
    ['a name that nobody knows', 'lost'],
  ])('%s: %s', (name, kind) => {
    expect(refusalOf(new KafkaError('protocol', name, name, { retriable: true, staleMetadata: false }))).toBe(kind);
  });
});
