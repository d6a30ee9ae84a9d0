import { expect, test } from '@jest/globals';
import { judgeOffsetsTopic, type OffsetsVerdict } from '../../../core/kafka/offsets-topic.ts';

const of = (value: string | null): ReadonlyMap<string, string | null> => new Map([['min.insync.replicas', value]]);
const none: ReadonlyMap<string, string | null> = new Map();

const cases: readonly [
  what: string,
  brokers: number,
  topic: typeof none | null,
  broker: typeof none,
  OffsetsVerdict['kind'],
][] = [
  ['one broker has nobody to be cut off from', 1, of('1'), none, 'fine'],
  ['two of three replicas have to agree', 3, of('2'), none, 'fine'],
  ['one replica is enough to accept a commit', 3, of('1'), of('2'), 'weak'],
  ['not made yet, and the brokers will make it well', 3, null, of('2'), 'fine'],
  ['not made yet, and the brokers will make it weak', 3, null, of('1'), 'weak'],
  ['not told', 3, none, of('2'), 'unknown'],
  ['told nothing', 3, of(null), none, 'unknown'],
  ['told an empty text', 3, of(''), none, 'unknown'],
  ['told no number', 3, of('many'), none, 'unknown'],
];

test.each(cases)('%s', (_what, brokers, topic, broker, kind) => {
  const verdict = judgeOffsetsTopic(brokers, topic, broker);
  expect(verdict.kind).toBe(kind);
  if (verdict.kind === 'weak') expect(verdict.remedy).toContain('min.insync.replicas=2');
});
