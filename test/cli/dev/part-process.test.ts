import { expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartProcess } from '../../../cli/dev/part-process.ts';
import { systemClock } from '../../../core/clock.ts';
import { eventually } from '../../support/eventually.ts';

test('a part that dies is started again after a pause, with a line; one that is stopped is not', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-part-'));
  const pids: number[] = [];
  const ends: string[] = [];
  const lines: string[] = [];
  const script = "console.log('alive'); process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000)";
  const part = new PartProcess(
    {
      part: 'ingest',
      instanceId: 'ingest-1',
      command: process.execPath,
      args: ['-e', script],
      env: process.env,
      logFile: join(dir, 'log'),
    },
    {
      clock: systemClock,
      random: { next: () => 0.5 },
      onLine: (line) => lines.push(line),
      onStarted: (pid) => pids.push(pid),
      onEnded: (why, restartInMs) => ends.push(`${why} ${restartInMs}`),
    },
  );
  part.start();
  await eventually('first start', 5_000, () => lines.length === 1);
  process.kill(pids[0]!, 'SIGKILL');
  await eventually('second start', 10_000, () => lines.length === 2);
  expect(ends).toEqual(['SIGKILL 1000']);
  expect(pids[1]).not.toBe(pids[0]);
  await part.stop();
  await part.stop();
  expect(part.pid).toBeUndefined();
  expect(ends).toHaveLength(1);
  expect(await readFile(join(dir, 'log'), 'utf8')).toBe('alive\nalive\n');
  await rm(dir, { recursive: true });
}, 20_000);

test('a command that does not exist is an end like any other', async () => {
  const ends: string[] = [];
  const part = new PartProcess(
    { part: 'x', instanceId: 'x', command: '/nonexistent', args: [], env: {}, logFile: '/dev/null' },
    {
      clock: systemClock,
      random: { next: () => 0.5 },
      onLine: () => undefined,
      onStarted: () => undefined,
      onEnded: (why) => ends.push(why),
    },
  );
  part.start();
  await eventually('end', 5_000, () => ends.length === 1);
  await part.stop();
  expect(ends[0]).toContain('ENOENT');
});

test('what a part says after its end is kept as well: another process may still hold its output', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-part-'));
  const lines: string[] = [];
  const ends: string[] = [];
  const part = new PartProcess(
    {
      part: 'x',
      instanceId: 'x',
      command: '/bin/sh',
      args: ['-c', '(sleep 0.3; echo late) & exit 3'],
      env: process.env,
      logFile: join(dir, 'log'),
    },
    {
      clock: systemClock,
      random: { next: () => 0.5 },
      onLine: (line) => lines.push(line),
      onStarted: () => undefined,
      onEnded: (why) => ends.push(why),
    },
  );
  part.start();
  await eventually('its end', 5_000, () => ends.length === 1);
  expect([ends, lines]).toEqual([['exit code 3'], []]);
  await part.stop();
  await eventually('the late line', 5_000, () => lines.length === 1);
  await eventually('the line in the log', 5_000, async () => (await readFile(join(dir, 'log'), 'utf8')) === 'late\n');
  await rm(dir, { recursive: true });
}, 20_000);
