import { expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { createLogger } from '../../core/logger.ts';
import { RegistryWatch } from '../../query-api/registry-watch.ts';
import { eventually } from '../support/eventually.ts';

test('a registry that goes away is one line, and so is its return', async () => {
  const lines: { level: string; msg: string }[] = [];
  const logger = createLogger({
    level: 'info',
    format: 'json',
    destination: { write: (line) => void lines.push(JSON.parse(line) as { level: string; msg: string }) },
  });
  let asked = 0;
  let away = false;
  const ask = async (): Promise<void> => {
    asked += 1;
    if (away) throw new Error('connect ECONNREFUSED');
  };
  const watch = new RegistryWatch({ ask, everyMs: 5, clock: systemClock, logger });
  await watch.start(new AbortController().signal);
  const answered = async (times: number): Promise<void> => {
    const before = asked;
    await eventually('requests', 2_000, () => asked >= before + times);
  };
  await answered(3);
  expect([watch.answers, lines]).toEqual([true, []]);
  away = true;
  await answered(3);
  expect(watch.answers).toBe(false);
  away = false;
  await answered(3);
  await watch.stop();
  await watch.stop();
  expect(watch.answers).toBe(true);
  expect(lines.map(({ level, msg }) => [level, msg.slice(0, 30)])).toEqual([
    ['warn', 'schema registry does not answe'],
    ['info', 'schema registry answers again'],
  ]);
});
