/** Random schedules of the lock under virtual time. `SEED=4711 npm run test:simulation` tells one of them in full. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { repositoryRoot } from '../support/repository-root.ts';
import { found } from './found.ts';
import { runSchedule } from './schedule.ts';

/** Two processes, one per core of the smallest machine that runs this. */
const halves = [
  { from: 1, count: 1_000 },
  { from: 1_001, count: 1_000 },
];

interface Run {
  readonly output: string;
  readonly violations: readonly string[];
}

function simulate({ from, count }: { readonly from: number; readonly count: number }): Promise<Run> {
  const args = ['--import', 'tsx', join('test', 'simulation', 'run.ts'), '--from', `${from}`, '--count', `${count}`];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: repositoryRoot }, (error, stdout, stderr) => {
      const violations = stdout.split('\n').filter((line) => line.startsWith('SEED='));
      if (error !== null && violations.length === 0) reject(new Error(`${error.message}\n${stderr.slice(-2_000)}`));
      else resolve({ output: stdout, violations });
    });
  });
}

const seed = process.env['SEED'];

if (seed !== undefined) {
  test(`seed ${seed}`, async () => {
    const { violation } = await runSchedule({
      seed: Number(seed),
      say: (line) => void process.stdout.write(`${line}\n`),
    });
    expect(violation).toBeNull();
  }, 60_000);
} else {
  test('O1, O3–O5, O7, O11, O12, O15, O16: 2,000 random schedules of at least five faults each break nothing', async () => {
    const startedMs = performance.now();
    const runs = await Promise.all(halves.map(simulate));
    for (const { output } of runs) process.stdout.write(`simulation: ${output.trim().split('\n').at(-1) ?? ''}\n`);
    process.stdout.write(`simulation: both halves in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s\n`);
    expect(runs.flatMap(({ violations }) => violations)).toEqual([]);
  }, 300_000);

  test.each(found)('a schedule that once found something: $story', async ({ seed: known }) => {
    const { violation } = await runSchedule({ seed: known });
    expect(violation).toBeNull();
  });
}

test('the same seed gives the same run', async () => {
  const [one, other] = [await runSchedule({ seed: 42 }), await runSchedule({ seed: 42 })];
  expect(one).toEqual(other);
  expect(one.faults.length).toBeGreaterThanOrEqual(5);
});
