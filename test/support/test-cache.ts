import { homedir } from 'node:os';
import { join } from 'node:path';
import { kafkaJars } from '../../cli/kafka-jars.ts';
import { repositoryRoot } from './repository-root.ts';

/** Where fetched jars are kept between runs, outside the repository. */
export const testCacheDir =
  process.env['HOLDFAST_CACHE_DIR'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast');

/** The folder with Kafka's jars, fetched once. */
export function testJars(onProgress: (line: string) => void = () => undefined): Promise<string> {
  return kafkaJars({ pomFile: join(repositoryRoot, 'pom.xml'), cacheDir: testCacheDir, onProgress });
}
