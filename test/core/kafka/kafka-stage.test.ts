import { systemClock } from '../../../core/clock.ts';
import { loadSettings } from '../../../core/config.ts';
import { KafkaStage } from '../../../core/kafka/kafka-stage.ts';
import { Producer } from '../../../core/kafka/producer.ts';
import { silentLogger } from '../../../core/logger.ts';
import { commonSettings } from '../../../core/settings.ts';

/** With a Kafka that is away; that it works with one is what every integration test shows. */
function stageWithoutKafka(): { stage: KafkaStage; made: () => number } {
  const kafka = { brokers: ['127.0.0.1:1'], clientId: 'test', logger: silentLogger, clock: systemClock };
  const { values: settings } = loadSettings(commonSettings, {
    flags: { kafkaBrokers: '127.0.0.1:1' },
    env: {},
    knownElsewhere: new Set(),
  });
  let made = 0;
  const stage = new KafkaStage({
    name: 'a stage',
    settings,
    kafka,
    producer: new Producer({ kafka }),
    env: {},
    clock: systemClock,
    logger: silentLogger,
    components: () => {
      made += 1;
      return [];
    },
  });
  return { stage, made: () => made };
}

test('G1: stop ends a start that waits for Kafka, and nothing was made', async () => {
  const { stage, made } = stageWithoutKafka();
  const starting = stage.start(new AbortController().signal);
  const failed = expect(starting).rejects.toThrow('a stage was stopped');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([stage.isRunning, stage.isStopping]).toEqual([false, false]);
  await stage.stop();
  await failed;
  expect([made(), stage.isRunning, stage.isStopping]).toEqual([0, false, true]);
});

test('a stage that never started stops at once, twice', async () => {
  const { stage } = stageWithoutKafka();
  await stage.stop();
  await stage.stop();
});
