import { expect, test } from '@jest/globals';
import { kafkaErrorOfCode, KafkaError } from '../../../core/kafka/errors.ts';
import { ReadTrouble, settlingMs } from '../../../core/kafka/read-trouble.ts';
import { type Logger, silentLogger } from '../../../core/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly lines: [level: string, fields: Record<string, unknown>][] = [];
  readonly trouble: ReadTrouble;

  constructor() {
    const note = (level: string) => (fields: object) => void this.lines.push([level, { ...fields }]);
    const logger: Logger = { ...silentLogger, warn: note('warn'), error: note('error'), debug: () => undefined };
    this.trouble = new ReadTrouble({ name: 'telemetry', clock: this.clock, logger });
  }
}

const codes: readonly [code: number, name: string, silent: boolean][] = [
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', true],
  [5, 'LEADER_NOT_AVAILABLE', true],
  [6, 'NOT_LEADER_OR_FOLLOWER', true],
  [78, 'OFFSET_NOT_AVAILABLE', true],
  [56, 'KAFKA_STORAGE_ERROR', false],
  [-1, 'UNKNOWN_SERVER_ERROR', false],
];

test.each(codes)('RT1: %i %s', (code, _name, silent) => {
  const { trouble, lines } = new Scene();
  trouble.failed('t-0', kafkaErrorOfCode(code, 't-0'));
  expect(lines).toHaveLength(silent ? 0 : 1);
});

test('RT2: a broker that does not answer is said at once', () => {
  const { trouble, lines } = new Scene();
  trouble.failed('broker 1', new KafkaError('transport', 'CONNECTION', 'refused'));
  expect(lines).toEqual([['warn', expect.objectContaining({ place: 'broker 1', cause: 'refused', failing: 1 })]]);
});

test('RT1, RT3: fifty partitions without a leader are silent for a while, and then one line a period', async () => {
  const { trouble, lines, clock } = new Scene();
  for (let second = 0; second <= 15; second += 1) {
    for (let partition = 0; partition < 50; partition += 1) {
      trouble.failed(`t-${partition}`, kafkaErrorOfCode(6, `t-${partition}`));
    }
    if (second * 1_000 < settlingMs) expect(lines).toEqual([]);
    await clock.advance(1_000);
  }
  expect(lines).toHaveLength(2);
  expect(lines[0]![1]).toMatchObject({ failing: 50, suppressed: 0 });
  expect(lines[1]![1]).toMatchObject({ failing: 50, suppressed: 499 });
});

test('a partition that was read in between waits anew', async () => {
  const { trouble, lines, clock } = new Scene();
  const error = kafkaErrorOfCode(6, 't-0');
  for (let election = 0; election < 5; election += 1) {
    trouble.failed('t-0', error);
    await clock.advance(settlingMs - 1);
    trouble.failed('t-0', error);
    trouble.over('t-0');
  }
  expect(lines).toEqual([]);
});

test('damaged records are errors, by place', () => {
  const { trouble, lines } = new Scene();
  for (const place of ['t-0', 't-0', 't-1']) trouble.damaged(place, 'wrong CRC');
  expect(lines.map(([level, { place }]) => [level, place])).toEqual([
    ['error', 't-0'],
    ['error', 't-1'],
  ]);
});
