import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError } from '../../core/errors.ts';
import { type CliContext } from '../context.ts';
import { EmbeddedKafka } from '../embedded-kafka.ts';
import { javaProblem, kafkaJars, threeWays } from '../kafka-jars.ts';

/** The Kafka under `holdfast dev`: whose it is decides who stops it. */
export interface DevBrokers {
  readonly brokers: readonly string[];
  /** For people: what it is. */
  readonly what: string;
  /** Set when it is ours. */
  readonly embedded: EmbeddedKafka | undefined;
}

export interface DevBrokersOptions {
  readonly dataDir: string;
  readonly nodes: 1 | 3;
  readonly context: CliContext;
}

const run = promisify(execFile);
/** The addresses that docker-compose.yml publishes on loopback. */
const composeBrokers = ['127.0.0.1:19092', '127.0.0.1:19093', '127.0.0.1:19094'];
const preferredPort = 19_092;

export function defaultCacheDir(env: CliContext['env']): string {
  return env['HOLDFAST_CACHE_DIR'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast');
}

/** Brokers by setting, else embedded, else docker compose, else a message that names the three ways. */
export async function devBrokers(options: DevBrokersOptions, signal: AbortSignal): Promise<DevBrokers> {
  const { env, clock, print, installRoot } = options.context;
  const named = env['HOLDFAST_KAFKA_BROKERS'];
  if (named !== undefined && named !== '') {
    return {
      brokers: named.split(',').map((broker) => broker.trim()),
      what: 'Kafka named by HOLDFAST_KAFKA_BROKERS',
      embedded: undefined,
    };
  }
  const problem = await javaProblem();
  if (problem !== null) return composeOrThrow(options, problem);
  const pomFile = join(installRoot, 'pom.xml');
  const jarsDir = await kafkaJars({ pomFile, cacheDir: defaultCacheDir(env), onProgress: print });
  signal.throwIfAborted();
  print(
    `starting Kafka (${options.nodes === 1 ? 'one broker, so nothing is replicated' : 'three brokers'}; data in ${options.dataDir}/kafka) …`,
  );
  const embedded = new EmbeddedKafka({
    jarsDir,
    dataDir: join(options.dataDir, 'kafka'),
    nodes: options.nodes,
    preferredPort,
    clock,
  });
  try {
    await embedded.start(signal);
  } catch (thrown) {
    await embedded.stop();
    throw thrown;
  }
  return { brokers: embedded.brokers, what: 'Apache Kafka, embedded', embedded };
}

async function composeOrThrow({ context }: DevBrokersOptions, javaIs: string): Promise<DevBrokers> {
  const engine = await run('docker', ['info', '--format', '{{.ServerVersion}}']).then(
    () => true,
    () => false,
  );
  if (!engine) {
    throw new HoldfastError(
      'KAFKA_UNREACHABLE',
      `no Kafka to run on: ${javaIs}, and no Docker engine answers. ${threeWays}`,
    );
  }
  context.print('starting Kafka with docker compose …');
  const file = join(context.installRoot, 'docker-compose.yml');
  await run('docker', ['compose', '-f', file, 'up', '-d', '--wait', 'kafka-1', 'kafka-2', 'kafka-3']);
  return {
    brokers: composeBrokers,
    what: 'Kafka in docker compose (stays up; `docker compose down` ends it)',
    embedded: undefined,
  };
}
