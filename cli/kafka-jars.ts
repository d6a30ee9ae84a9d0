import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HoldfastError, messageOf } from '../core/errors.ts';

/**
 * The jars of the pinned Apache Kafka: fetched once by Maven into the cache folder, keyed by the text of `pom.xml`, so a
 * changed version is a new folder and an interrupted fetch leaves nothing that looks complete.
 */
export interface KafkaJarsOptions {
  /** `pom.xml` of this repository. */
  readonly pomFile: string;
  readonly cacheDir: string;
  /** Called with a line when something longer than a moment begins. */
  readonly onProgress: (line: string) => void;
}

const run = promisify(execFile);

/** Java 17 or later on the path, or why not. */
export async function javaProblem(): Promise<string | null> {
  try {
    const { stderr } = await run('java', ['-version']);
    const major = /version "(?<major>\d+)/.exec(stderr)?.groups?.['major'];
    return Number(major) >= 17 ? null : `Java ${major ?? '?'} is too old; Kafka 4 needs Java 17 or later`;
  } catch {
    return 'no `java` on the path; Kafka 4 needs Java 17 or later';
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The folder that holds the jars, fetched when they are not there. Throws `KAFKA_UNREACHABLE` with the way out. */
export async function kafkaJars(options: KafkaJarsOptions): Promise<string> {
  const pom = await readFile(options.pomFile, 'utf8');
  const key = createHash('sha256').update(pom).digest('hex').slice(0, 12);
  const folder = join(options.cacheDir, `kafka-${key}`);
  if (await exists(folder)) return folder;
  options.onProgress('fetching Apache Kafka with Maven, once (about 45 MB) …');
  await mkdir(options.cacheDir, { recursive: true });
  const partial = await mkdtemp(join(options.cacheDir, 'kafka-partial-'));
  try {
    await runMaven(options.pomFile, partial);
    // Another process may have finished the same fetch meanwhile; its folder is as good as ours.
    await rename(partial, folder).catch(async (thrown: unknown) => {
      if (!(await exists(folder))) throw thrown;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

function runMaven(pomFile: string, outputDirectory: string): Promise<void> {
  const goals = ['dependency:copy-dependencies', `-DoutputDirectory=${outputDirectory}`, '-DincludeScope=runtime'];
  return new Promise((resolve, reject) => {
    const maven = spawn('mvn', ['-q', '-B', '-f', pomFile, ...goals], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-2_000);
    };
    maven.stdout.on('data', keep);
    maven.stderr.on('data', keep);
    maven.once('error', (thrown) => reject(mavenFailed(messageOf(thrown))));
    maven.once('exit', (code) => (code === 0 ? resolve() : reject(mavenFailed(output.trim()))));
  });
}

function mavenFailed(why: string): HoldfastError {
  return new HoldfastError('KAFKA_UNREACHABLE', `Maven could not fetch Apache Kafka: ${why}; ${threeWays}`);
}

/** The ways to a Kafka, for every message that has to say there is none. */
export const threeWays =
  'Holdfast takes one of three: HOLDFAST_KAFKA_BROKERS=host:port of a cluster you have, or Java 17 with Maven on the path, or `docker compose up`';
