import { systemClock } from '../../core/clock.ts';
import { createLogger } from '../../core/logger.ts';
import { FleetLog } from '../../ingest/fleet-log.ts';
import { eventually } from '../support/eventually.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly device?: string;
  readonly counts?: Record<string, number>;
}

function setUp(): { log: FleetLog; lines: Line[] } {
  const lines: Line[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line);
  const logger = createLogger({ level: 'info', format: 'json', destination: { write } });
  return { log: new FleetLog({ logger, clock: systemClock, gatherMs: 20, stormMs: 40 }), lines };
}

const end = (log: FleetLog, n: number, cause: string): void =>
  log.say({ level: 'warn', event: 'session ended', cause, fields: { device: `d${n}` } });

test('a few changes are a line each, in their order and with their level', async () => {
  const { log, lines } = setUp();
  await log.start();
  for (let n = 0; n < 3; n += 1) end(log, n, 'UNREACHABLE');
  log.say({ level: 'info', event: 'device synced', cause: '', fields: { device: 'd3' } });
  await eventually('the lines', 2_000, () => lines.length === 4);
  expect(lines.map(({ level, device }) => `${level} ${device}`)).toEqual(['warn d0', 'warn d1', 'warn d2', 'info d3']);
  await log.stop();
  expect(lines).toHaveLength(4); // nothing to say, nothing said
});

test('500 sessions that end at once are one line with their number by cause', async () => {
  const { log, lines } = setUp();
  await log.start();
  for (let n = 0; n < 500; n += 1) end(log, n, n < 450 ? 'UNREACHABLE' : 'ended');
  await eventually('a line', 2_000, () => lines.length > 0);
  await log.stop();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 'warn',
    counts: { 'session ended (UNREACHABLE)': 450, 'session ended (ended)': 50 },
  });
});

test('after a storm lines are lines again, and at the end nothing is left unsaid', async () => {
  const { log, lines } = setUp();
  await log.start();
  for (let n = 0; n < 20; n += 1) end(log, n, 'ended');
  await eventually('the summary', 2_000, () => lines.length === 1);
  end(log, 20, 'ended');
  await log.stop();
  end(log, 21, 'ended');
  expect(lines.slice(1).map(({ device }) => device)).toEqual(['d20', 'd21']);
});
