/**
 * The properties with new cases round after round: `npm run test:properties -- 20`. Stops at the first round that fails and
 * prints the seed that repeats it.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** npm starts scripts in the folder of package.json. */
const root = process.cwd();
const rounds = Number(process.argv[2] ?? 20);
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && !file.startsWith('integration/'))
  .map((file) => join('test', file))
  .filter((file) => readFileSync(join(root, file), 'utf8').includes('support/properties.ts'));

for (let round = 1; round <= rounds && process.exitCode === undefined; round += 1) {
  const seed = randomInt(2 ** 31);
  const jest = ['jest', '--selectProjects', 'unit', '--maxWorkers=2', '--silent', '--', ...files];
  const { status } = spawnSync('npx', jest, {
    cwd: root,
    env: { ...process.env, SEED: String(seed) },
    stdio: 'inherit',
  });
  process.stdout.write(`round ${round} of ${rounds}, SEED=${seed}: ${status === 0 ? 'green' : 'red'}\n`);
  if (status !== 0) process.exitCode = 1;
}
