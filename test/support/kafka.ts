import { randomBytes } from 'node:crypto';

/** The Kafka of this test run: one broker for all suites (integration-setup.ts), a topic prefix for each test. */
export interface TestKafka {
  readonly brokers: string[];
  /** Fresh at every call, so that tests share nothing on the broker. */
  readonly prefix: string;
}

export function testKafka(): TestKafka {
  const brokers = process.env['TEST_KAFKA_BROKERS'];
  if (brokers === undefined) throw new Error('no Kafka: integration tests run through `npm run test:integration`');
  return { brokers: brokers.split(','), prefix: `t${randomBytes(4).toString('hex')}.` };
}

/** False where no Kafka could be started and TEST_REQUIRE_KAFKA does not insist on one: use `describe.skip`-style guards. */
export const hasTestKafka = process.env['TEST_KAFKA_BROKERS'] !== undefined;
