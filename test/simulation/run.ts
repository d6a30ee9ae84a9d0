/**
 * The simulation as a command: `npx tsx test/simulation/run.ts --from 1 --count 20000`, or one seed told in full:
 * `npx tsx test/simulation/run.ts --seed 4711`. Exits with 1 when something was found.
 */
import { createLogger } from '../../core/logger.ts';
import { runSchedule } from './schedule.ts';

const flag = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Faults to draw from; all of them by default. */
const only = flag('only')?.split(',');
const drawn = only === undefined ? {} : { only };
const seed = flag('seed');
if (seed !== undefined) {
  const destination = {
    write: (line: string) => {
      const { level, msg, worker, ...fields } = JSON.parse(line) as Record<string, unknown>;
      say(`          ${String(worker)} ${String(level)} ${String(msg)} ${JSON.stringify(fields)}`);
    },
  };
  const logger = (worker: string) => createLogger({ level: 'debug', format: 'json', destination }, { worker });
  const result = await runSchedule({ ...drawn, seed: Number(seed), say, logger });
  say(JSON.stringify({ ...result, violation: result.violation?.message ?? null }));
  process.exitCode = result.violation === null ? 0 : 1;
} else {
  const from = Number(flag('from') ?? 1);
  const count = Number(flag('count') ?? 2_000);
  const startedMs = performance.now();
  const recoveries: number[] = [];
  const found: string[] = [];
  let faults = 0;
  let excused = 0;
  const first = process.argv.includes('--first');
  for (let at = from; at < from + count && !(first && found.length > 0); at += 1) {
    const result = await runSchedule({ ...drawn, seed: at });
    recoveries.push(result.recoveryMs);
    faults += result.faults.length;
    excused += result.excused > 0 ? 1 : 0;
    if (result.violation !== null) {
      found.push(`${result.violation.invariant} SEED=${at}`);
      say(`SEED=${at} ${result.violation.message} [${result.faults.join(' ')}]`);
    }
  }
  recoveries.sort((a, b) => a - b);
  const seconds = (performance.now() - startedMs) / 1_000;
  say(
    `${count} schedules, ${faults} faults, ${seconds.toFixed(1)} s: ${found.length} violations; ` +
      `recovery median ${Math.round(recoveries[count >> 1] ?? 0)} ms, worst ${Math.round(recoveries.at(-1) ?? 0)} ms; ` +
      `${excused} schedules with a documented overlap`,
  );
  process.exitCode = found.length === 0 ? 0 : 1;
}
