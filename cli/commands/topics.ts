import { type Command } from 'commander';
import { KafkaConnection, kafkaOptionsOf } from '../../core/kafka/connection.ts';
import {
  applyTopics,
  compareTopics,
  existingTopics,
  planTopics,
  type TopicComparison,
} from '../../core/kafka/topic-plan.ts';
import { createLogger } from '../../core/logger.ts';
import { commonSettings, type CommonSettings } from '../../core/settings.ts';
import { type CliContext, type ExitCode } from '../context.ts';
import { allSettingNames } from '../services.ts';
import { addSettingFlags, settingsOf } from '../settings-flags.ts';
import { formatTable } from '../table-output.ts';

const requestTimeoutMs = 30_000;

/** `holdfast topics plan | apply`: what the topics should be, what differs, and their creation. */
export function registerTopics(program: Command, context: CliContext, done: (code: ExitCode) => void): void {
  const group = program.command('topics').description('plan or create the topics in Kafka');
  addSettingFlags(
    group.command('plan').description('show what would be created and what differs; exit code 1 on a mismatch'),
    commonSettings,
  )
    .option('--json', 'print JSON')
    .action(async (flags: Record<string, unknown>) => {
      const { values } = settingsOf(commonSettings, flags, context, allSettingNames);
      const comparison = await withConnection(values, context, async (connection) => {
        const wanted = planTopics(values);
        return compareTopics(wanted, await existingTopics(connection, wanted));
      });
      context.print(flags['json'] === true ? JSON.stringify(comparison, null, 2) : describe(comparison));
      done(comparison.problems.length === 0 ? 0 : 1);
    });
  addSettingFlags(group.command('apply').description('create what is missing'), commonSettings).action(
    async (flags: Record<string, unknown>) => {
      const { values } = settingsOf(commonSettings, flags, context, allSettingNames);
      const settings = { ...values, createTopics: true };
      const { create } = await withConnection(values, context, (connection, signal) =>
        applyTopics({ connection, settings, clock: context.clock, logger: commandLogger(values) }, signal),
      );
      context.print(
        create.length === 0 ? 'nothing to create' : `created ${create.map(({ topic }) => topic).join(', ')}`,
      );
      done(0);
    },
  );
}

function commandLogger(settings: CommonSettings): ReturnType<typeof createLogger> {
  return createLogger({ level: 'warn', format: settings.logFormat ?? 'pretty' });
}

async function withConnection<T>(
  settings: CommonSettings,
  context: CliContext,
  use: (connection: KafkaConnection, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal } = new AbortController();
  const kafka = kafkaOptionsOf(settings, context.env, commandLogger(settings), context.clock);
  const connection = new KafkaConnection(kafka, { name: 'topics', requestTimeoutMs });
  try {
    return await use(connection, signal);
  } finally {
    await connection.disconnect();
  }
}

function describe({ create, problems, drift }: TopicComparison): string {
  const parts: string[] = [];
  if (create.length > 0) {
    const rows = create.map((topic) => [
      topic.topic,
      String(topic.partitions),
      String(topic.replicationFactor),
      Object.entries(topic.config)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
    ]);
    parts.push(`to create:\n${formatTable(['topic', 'partitions', 'replicas', 'settings'], rows)}`);
  }
  if (problems.length > 0) parts.push(`wrong:\n${problems.map(({ message }) => `  ${message}`).join('\n')}`);
  if (drift.length > 0) {
    const rows = drift.map(({ topic, key, found, wanted }) => [topic, key, found, wanted]);
    parts.push(`different, left alone:\n${formatTable(['topic', 'setting', 'found', 'ours'], rows)}`);
  }
  return parts.length === 0 ? 'all topics are as they should be' : parts.join('\n\n');
}
