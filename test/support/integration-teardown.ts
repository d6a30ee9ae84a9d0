import { type EmbeddedKafka, forgetKafka } from '../../cli/embedded-kafka.ts';

export default async function tearDown(): Promise<void> {
  const started = (globalThis as { holdfastTestKafka?: { kafka: EmbeddedKafka; dataDir: string } }).holdfastTestKafka;
  if (started === undefined) return;
  await started.kafka.stop();
  await forgetKafka(started.dataDir);
}
