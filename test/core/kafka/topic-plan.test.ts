import {
  compareTopics,
  type ExistingTopic,
  minInsyncReplicas,
  planTopics,
  type TopicSettings,
} from '../../../core/kafka/topic-plan.ts';

const settings: TopicSettings = {
  topicPrefix: 'x.',
  slots: 16,
  replicationFactor: 3,
  telemetryRetentionMs: 86_400_000,
  telemetryRetentionBytes: undefined,
  resumeWindowMs: 600_000,
  maxMessageBytes: 16_777_216,
};

const ofAll = {
  'min.insync.replicas': '2',
  'unclean.leader.election.enable': 'false',
  'message.timestamp.type': 'CreateTime',
};
const compacted = {
  ...ofAll,
  'cleanup.policy': 'compact',
  'segment.ms': '3600000',
  'segment.bytes': '67108864',
  'min.cleanable.dirty.ratio': '0.1',
  'max.compaction.lag.ms': '21600000',
  'delete.retention.ms': '86400000',
};
const busy = { ...compacted, 'segment.ms': '900000', 'segment.bytes': '8388608' };

test.each([
  { topic: 'x.devices', partitions: 16, config: compacted },
  { topic: 'x.profiles', partitions: 1, config: compacted },
  {
    topic: 'x.telemetry',
    partitions: 16,
    config: {
      ...ofAll,
      'cleanup.policy': 'delete',
      'retention.ms': '86400000',
      'compression.type': 'producer',
      'max.message.bytes': '16842752',
    },
  },
  {
    topic: 'x.state',
    partitions: 16,
    config: { ...compacted, 'min.compaction.lag.ms': '600000', 'max.message.bytes': '16842752' },
  },
  { topic: 'x.status', partitions: 16, config: compacted },
  { topic: 'x.ownership', partitions: 1, config: busy },
  { topic: 'x.schemas', partitions: 1, config: compacted },
  { topic: 'x.instances', partitions: 1, config: busy },
])('$topic is planned with exactly its settings', ({ topic, partitions, config }) => {
  const found = planTopics(settings).find((wanted) => wanted.topic === topic);
  expect(found).toMatchObject({ partitions, replicationFactor: 3 });
  expect(found?.config).toEqual(config);
});

test('the plan names every topic once', () => {
  expect(new Set(planTopics(settings).map(({ topic }) => topic)).size).toBe(8);
});

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [5, 2],
])('with %d replicas %d must be in sync', (replicationFactor, minInsync) => {
  expect(minInsyncReplicas(replicationFactor)).toBe(minInsync);
  const [first] = planTopics({ ...settings, replicationFactor });
  expect(first?.config['min.insync.replicas']).toBe(String(minInsync));
});

test('settings reach the topics they are for', () => {
  const plan = planTopics({
    ...settings,
    telemetryRetentionMs: 60_000,
    telemetryRetentionBytes: 1_048_576,
    resumeWindowMs: 86_400_000,
    maxMessageBytes: 65_536,
  });
  const config = (topic: string) => plan.find((wanted) => wanted.topic === topic)?.config;
  expect(config('x.telemetry')).toMatchObject({
    'retention.ms': '60000',
    'retention.bytes': '1048576',
    'max.message.bytes': '131072',
  });
  // A window longer than the usual maximum raises it: Kafka refuses a maximum below the minimum.
  expect(config('x.state')).toMatchObject({
    'min.compaction.lag.ms': '86400000',
    'max.compaction.lag.ms': '86400000',
    'max.message.bytes': '131072',
  });
});

const existing = (change: (topic: ExistingTopic) => ExistingTopic | null): ExistingTopic[] =>
  planTopics(settings).flatMap(({ topic, partitions, config }) => change({ topic, partitions, config }) ?? []);

test('topics as planned need nothing', () => {
  const found = existing((topic) => topic);
  expect(compareTopics(planTopics(settings), found)).toEqual({ create: [], problems: [], drift: [] });
});

test('missing topics are to be created, foreign ones are ignored', () => {
  const found = existing((topic) => (topic.topic === 'x.state' ? null : topic));
  found.push({ topic: 'other', partitions: 9, config: {} });
  const { create, problems } = compareTopics(planTopics(settings), found);
  expect(create.map(({ topic }) => topic)).toEqual(['x.state']);
  expect(problems).toEqual([]);
});

test.each([
  {
    name: 'x.devices',
    change: { partitions: 32 },
    what: 'partitions',
    says: ['x.devices', '32', '16', 'HOLDFAST_SLOTS=32'],
  },
  {
    name: 'x.profiles',
    change: { partitions: 2 },
    what: 'partitions',
    says: ['x.profiles', '2', 'HOLDFAST_TOPIC_PREFIX'],
  },
  {
    name: 'x.state',
    change: { config: { 'cleanup.policy': 'delete' } },
    what: 'cleanup.policy',
    says: ['x.state', 'delete', 'compact', 'kafka-configs.sh --alter'],
  },
])('$name with another $what is a problem that names found, wanted and the remedy', ({ name, change, what, says }) => {
  const found = existing((topic) => (topic.topic === name ? { ...topic, ...change } : topic));
  const { problems, create } = compareTopics(planTopics(settings), found);
  expect(create).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ topic: name, what });
  for (const text of says) expect(problems[0]?.message).toContain(text);
});

test('another setting is drift and no problem', () => {
  const found = existing((topic) =>
    topic.topic === 'x.telemetry' ? { ...topic, config: { ...topic.config, 'retention.ms': '1000' } } : topic,
  );
  const { problems, drift } = compareTopics(planTopics(settings), found);
  expect(problems).toEqual([]);
  expect(drift).toEqual([{ topic: 'x.telemetry', key: 'retention.ms', found: '1000', wanted: '86400000' }]);
});
