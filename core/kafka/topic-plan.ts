import { topicCatalogue, topicOf, type TopicName, type TopicSpec } from '../../schemas/topics.ts';
import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { HoldfastError } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { systemRandom } from '../random.ts';
import { type CommonSettings } from '../settings.ts';
import { KafkaConnection, type KafkaOptions, type TopicMetadata } from './connection.ts';
import { kafkaErrorOfCode, toHoldfastError } from './errors.ts';
import { checkOffsetsTopic } from './offsets-topic.ts';

/**
 * Which topics the settings call for, what is wrong with those that exist, and the creation of those that do not.
 *
 * A partition count cannot be changed without moving devices to other slots, and a cleanup policy decides whether
 * history or state is thrown away: those two are refused. Everything else is reported as drift and left alone, because
 * an operator may have had a reason.
 */
export interface WantedTopic {
  readonly name: TopicName;
  /** Full name, with the prefix. */
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface ExistingTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface TopicProblem {
  readonly topic: string;
  readonly what: 'partitions' | 'cleanup.policy';
  readonly found: string;
  readonly wanted: string;
  /** One line: found, wanted, and what to do. */
  readonly message: string;
}

export interface TopicDrift {
  readonly topic: string;
  readonly key: string;
  readonly found: string;
  readonly wanted: string;
}

export interface TopicComparison {
  readonly create: readonly WantedTopic[];
  readonly problems: readonly TopicProblem[];
  readonly drift: readonly TopicDrift[];
}

export type TopicSettings = Pick<
  CommonSettings,
  | 'topicPrefix'
  | 'slots'
  | 'replicationFactor'
  | 'telemetryRetentionMs'
  | 'telemetryRetentionBytes'
  | 'resumeWindowMs'
  | 'maxMessageBytes'
>;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const mebibyte = 1_048_576;
/** Frame, header and key around a device's message, and the batch around the record. */
const batchOverheadBytes = 65_536;

/** Topics that are rewritten every second: short segments, so that the tail which is never compacted stays small. */
const busy: ReadonlySet<TopicName> = new Set<TopicName>(['ownership', 'instances']);

/** Every topic of the catalogue with the number of partitions and the configuration that we rely on. */
export function planTopics(settings: TopicSettings): WantedTopic[] {
  return topicCatalogue.map((spec) => ({
    name: spec.name,
    topic: topicOf(settings.topicPrefix, spec.name),
    partitions: spec.partitions === 'slots' ? settings.slots : 1,
    replicationFactor: settings.replicationFactor,
    config: { ...configOfAll(settings), ...configOf(spec, settings) },
  }));
}

/** With fewer than three replicas a second in-sync one cannot be demanded: one broker down would stop all writes. */
export function minInsyncReplicas(replicationFactor: number): number {
  return replicationFactor >= 3 ? 2 : 1;
}

function configOfAll(settings: TopicSettings): Record<string, string> {
  return {
    'min.insync.replicas': String(minInsyncReplicas(settings.replicationFactor)),
    'unclean.leader.election.enable': 'false',
    'message.timestamp.type': 'CreateTime',
  };
}

function configOf(spec: TopicSpec, settings: TopicSettings): Record<string, string> {
  const maxMessageBytes = String(settings.maxMessageBytes + batchOverheadBytes);
  if (spec.cleanup === 'delete') {
    const limit = settings.telemetryRetentionBytes;
    return {
      'cleanup.policy': 'delete',
      'retention.ms': String(settings.telemetryRetentionMs),
      ...(limit === undefined ? {} : { 'retention.bytes': String(limit) }),
      'compression.type': 'producer',
      'max.message.bytes': maxMessageBytes,
    };
  }
  const compacted = {
    'cleanup.policy': 'compact',
    'segment.ms': String(busy.has(spec.name) ? 15 * minuteMs : hourMs),
    'segment.bytes': String((busy.has(spec.name) ? 8 : 64) * mebibyte),
    'min.cleanable.dirty.ratio': '0.1',
    'max.compaction.lag.ms': String(6 * hourMs),
    'delete.retention.ms': String(24 * hourMs),
  };
  if (spec.name !== 'state') return compacted;
  return {
    ...compacted,
    // Within the resume window every value of a leaf stays readable, not only the last one.
    'min.compaction.lag.ms': String(settings.resumeWindowMs),
    // Kafka refuses a maximum below the minimum.
    'max.compaction.lag.ms': String(Math.max(6 * hourMs, settings.resumeWindowMs)),
    'max.message.bytes': maxMessageBytes,
  };
}

/** `existing` holds topics by full name; those that nobody wants are ignored. */
export function compareTopics(wanted: readonly WantedTopic[], existing: readonly ExistingTopic[]): TopicComparison {
  const found = new Map(existing.map((topic) => [topic.topic, topic]));
  const create: WantedTopic[] = [];
  const problems: TopicProblem[] = [];
  const drift: TopicDrift[] = [];
  for (const want of wanted) {
    const have = found.get(want.topic);
    if (have === undefined) create.push(want);
    else {
      problems.push(...problemsOf(want, have));
      drift.push(...driftOf(want, have));
    }
  }
  return { create, problems, drift };
}

function problemsOf(want: WantedTopic, have: ExistingTopic): TopicProblem[] {
  const { topic } = want;
  const problems: TopicProblem[] = [];
  if (have.partitions !== want.partitions) {
    const remedy =
      want.partitions === 1
        ? 'delete the topic, or choose another HOLDFAST_TOPIC_PREFIX'
        : `set HOLDFAST_SLOTS=${have.partitions}, or choose another HOLDFAST_TOPIC_PREFIX`;
    problems.push({
      topic,
      what: 'partitions',
      found: String(have.partitions),
      wanted: String(want.partitions),
      message: `topic ${topic} has ${have.partitions} partitions, ${want.partitions} are wanted: ${remedy}`,
    });
  }
  const wantedPolicy = want.config['cleanup.policy'] ?? '';
  const foundPolicy = have.config['cleanup.policy'];
  if (foundPolicy !== undefined && foundPolicy !== wantedPolicy) {
    problems.push({
      topic,
      what: 'cleanup.policy',
      found: foundPolicy,
      wanted: wantedPolicy,
      message:
        `topic ${topic} has cleanup.policy=${foundPolicy}, ${wantedPolicy} is wanted: ` +
        `kafka-configs.sh --alter --topic ${topic} --add-config cleanup.policy=${wantedPolicy}`,
    });
  }
  return problems;
}

function driftOf(want: WantedTopic, have: ExistingTopic): TopicDrift[] {
  return Object.entries(want.config).flatMap(([key, wanted]) => {
    const found = have.config[key];
    if (key === 'cleanup.policy' || found === undefined || found === wanted) return [];
    return [{ topic: want.topic, key, found, wanted }];
  });
}

export interface ApplyTopicsOptions {
  readonly connection: KafkaConnection;
  readonly settings: TopicSettings & Pick<CommonSettings, 'createTopics'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const topicsTimeoutMs = 15_000;
const topicAlreadyExists = 36;
const invalidReplicationFactor = 38;
const unknownTopic = 3;

/**
 * Creates what is missing and resolves when every partition has a leader. Several processes may do so at once.
 * @throws `TOPIC_MISMATCH`, `TOPIC_MISSING` (only when creating is switched off, or refused), `KAFKA_DENIED`
 */
export async function applyTopics(options: ApplyTopicsOptions, signal: AbortSignal): Promise<TopicComparison> {
  const { connection, settings, logger } = options;
  const wanted = planTopics(settings);
  const minInsync = minInsyncReplicas(settings.replicationFactor);
  if (minInsync === 1) {
    const fields = { replicationFactor: settings.replicationFactor, minInsyncReplicas: minInsync };
    logger.warn(fields, 'topics have too few replicas to survive the loss of a broker');
  }
  await checkOffsetsTopic(connection, logger);
  let comparison = compareTopics(wanted, await existingTopics(connection, wanted));
  refuseProblems(comparison.problems);
  if (comparison.create.length > 0) {
    if (!settings.createTopics) throw missingTopics(comparison.create);
    await createTopics(connection, comparison.create, logger);
    await waitForLeaders(options, wanted, signal);
    // Whoever was faster may have other settings than ours.
    comparison = { ...compareTopics(wanted, await existingTopics(connection, wanted)), create: comparison.create };
    refuseProblems(comparison.problems);
  } else {
    await waitForLeaders(options, wanted, signal);
  }
  for (const { topic, key, found, wanted: ours } of comparison.drift) {
    logger.info({ topic, key, found, wanted: ours }, 'topic setting differs');
  }
  return comparison;
}

/** `applyTopics` at the start of a process: waits for Kafka, on a connection that lives no longer than this. */
export async function prepareTopics(
  { kafka, ...rest }: Omit<ApplyTopicsOptions, 'connection'> & { readonly kafka: KafkaOptions },
  signal: AbortSignal,
): Promise<void> {
  const connection = new KafkaConnection(kafka, { name: 'topics', requestTimeoutMs: topicsTimeoutMs });
  try {
    await connection.connect(signal);
    await applyTopics({ connection, ...rest }, signal);
  } finally {
    connection.destroy();
  }
}

/** Those of the wanted topics that exist, with their configuration. */
export async function existingTopics(
  connection: KafkaConnection,
  wanted: readonly WantedTopic[],
): Promise<ExistingTopic[]> {
  const metadata = await connection.refreshMetadata(wanted.map(({ topic }) => topic));
  for (const { topic, code } of metadata) {
    if (code !== 0 && code !== unknownTopic) {
      const error = kafkaErrorOfCode(code, `topic ${topic}`);
      if (!error.retriable) throw toHoldfastError(error);
    }
  }
  const present = metadata.filter(({ partitions }) => partitions.length > 0);
  if (present.length === 0) return [];
  const configs = new Map<string, Readonly<Record<string, string>>>();
  for (const { topic, code, values } of await connection.describeConfigs(present.map(({ topic }) => topic))) {
    if (code !== 0 && code !== unknownTopic)
      throw toHoldfastError(kafkaErrorOfCode(code, `settings of topic ${topic}`));
    configs.set(topic, Object.fromEntries([...values].map(([key, value]) => [key, value ?? ''])));
  }
  return present.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.length,
    config: configs.get(topic) ?? {},
  }));
}

async function createTopics(
  connection: KafkaConnection,
  wanted: readonly WantedTopic[],
  logger: Logger,
): Promise<void> {
  const answers = await connection.createTopics(
    wanted.map(({ topic, partitions, replicationFactor, config }) => ({
      topic,
      partitions,
      replicationFactor,
      configs: config,
    })),
  );
  const refused = answers.filter(({ code }) => code !== 0 && code !== topicAlreadyExists);
  const created = answers.filter(({ code }) => code === 0).map(({ topic }) => topic);
  if (created.length > 0) logger.info({ topics: created }, 'topics created');
  const [first] = refused;
  if (first === undefined) return;
  const error = toHoldfastError(kafkaErrorOfCode(first.code, `creating topic ${first.topic}`));
  if (error.code === 'KAFKA_DENIED') throw error;
  const remedy =
    first.code === invalidReplicationFactor
      ? `set HOLDFAST_REPLICATION_FACTOR to at most the number of brokers (${connection.nodeIds.length})`
      : 'create it by hand with what `holdfast topics plan` prints';
  throw new HoldfastError('TOPIC_MISSING', `${error.message} (${first.message}): ${remedy}`, {
    cause: error,
    facts: { topics: refused.map(({ topic }) => topic), kafkaCode: first.code },
  });
}

async function waitForLeaders(
  { connection, clock, logger }: ApplyTopicsOptions,
  wanted: readonly WantedTopic[],
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff({ initialMs: 30, maxMs: 1_000, factor: 2, jitter: 0.5 });
  const saidAtMs = clock.monotonicMs() + 5_000;
  let said = false;
  for (;;) {
    const metadata = await connection.refreshMetadata(wanted.map(({ topic }) => topic));
    const waiting = wanted.filter((want) => !isLed(want, metadata)).map(({ topic }) => topic);
    if (waiting.length === 0) return;
    if (!said && clock.monotonicMs() > saidAtMs) {
      said = true;
      logger.warn({ topics: waiting }, 'topics have partitions without a leader, waiting');
    }
    await clock.sleep(backoff.nextMs(systemRandom), signal);
  }
}

function isLed({ topic }: WantedTopic, metadata: readonly TopicMetadata[]): boolean {
  const found = metadata.find((entry) => entry.topic === topic);
  if (found === undefined || found.partitions.length === 0) return false;
  return found.partitions.every(({ leader }) => leader >= 0);
}

function refuseProblems(problems: readonly TopicProblem[]): void {
  if (problems.length === 0) return;
  throw new HoldfastError('TOPIC_MISMATCH', problems.map(({ message }) => message).join('; '), {
    facts: { topics: [...new Set(problems.map(({ topic }) => topic))] },
  });
}

function missingTopics(missing: readonly WantedTopic[]): HoldfastError {
  const names = missing.map(({ topic }) => topic);
  return new HoldfastError(
    'TOPIC_MISSING',
    `topics do not exist: ${names.join(', ')}: create them with \`holdfast topics apply\`, ` +
      'or let processes do it with HOLDFAST_CREATE_TOPICS=true',
    { facts: { topics: names } },
  );
}
