import { systemClock } from '../../core/clock.ts';
import { createLogger } from '../../core/logger.ts';
import { FleetLog } from '../../ingest/fleet-log.ts';

test('the first changes are lines, the rest of a period is one line with their number by cause', async () => {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const logger = createLogger({ level: 'info', format: 'json', destination: { write } });
  const log = new FleetLog({ logger, clock: systemClock, linesMax: 2, periodMs: 60_000 });
  await log.start();
  for (let n = 0; n < 7; n += 1)
    log.say({
      level: 'warn',
      event: 'session ended',
      cause: n < 5 ? 'UNREACHABLE' : 'ended',
      fields: { device: `d${n}` },
    });
  expect(lines.map(({ device }) => device)).toEqual(['d0', 'd1']);
  await log.stop();
  expect(lines.at(-1)).toMatchObject({ counts: { 'session ended (UNREACHABLE)': 3, 'session ended (ended)': 2 } });
  log.summarise();
  expect(lines).toHaveLength(3); // nothing to say, nothing said
});
