import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedKafka } from '../../cli/embedded-kafka.ts';
import { javaProblem } from '../../cli/kafka-jars.ts';
import { systemClock } from '../../core/clock.ts';
import { testJars } from './test-cache.ts';

/** One real Kafka for the whole integration run, unless TEST_KAFKA_BROKERS names one. */
export default async function setUp(): Promise<void> {
  if (process.env['TEST_KAFKA_BROKERS'] !== undefined) return;
  const problem = await javaProblem();
  if (problem !== null) {
    if (process.env['TEST_REQUIRE_KAFKA'] === '1') throw new Error(problem);
    console.log(`integration tests are skipped: ${problem}`);
    return;
  }
  const jarsDir = await testJars((line) => console.log(line));
  const dataDir = await mkdtemp(join(tmpdir(), 'holdfast-test-kafka-'));
  const kafka = new EmbeddedKafka({ jarsDir, dataDir, nodes: 1, clock: systemClock });
  await kafka.start(new AbortController().signal);
  process.env['TEST_KAFKA_BROKERS'] = kafka.brokers.join(',');
  (globalThis as { holdfastTestKafka?: { kafka: EmbeddedKafka; dataDir: string } }).holdfastTestKafka = {
    kafka,
    dataDir,
  };
}
