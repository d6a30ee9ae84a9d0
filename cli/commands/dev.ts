import { rm } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { isAbort } from '../../core/abort.ts';
import { type CliContext, type ExitCode } from '../context.ts';
import { DevSession } from '../dev/dev-session.ts';

const count =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`a whole number from ${min} to ${max}.`);
    return value;
  };

interface DevFlags {
  readonly devices: number;
  readonly rate: number;
  readonly updates: number;
  readonly ingest: number;
  readonly replicator: number;
  readonly queryApi: number;
  readonly brokers: number;
  readonly clean: boolean;
  readonly data: string;
  readonly schemaRegistryUrl?: string;
}

/** `holdfast dev`: the whole system on this machine, simulated devices included. */
export function registerDev(program: Command, context: CliContext, done: (code: ExitCode) => void): void {
  program
    .command('dev')
    .description('run everything on this machine: Kafka, all parts, simulated devices')
    .option('--devices <n>', 'simulated devices; 0 runs no simulator', count(0, 2_000), 20)
    .option('--rate <n>', 'notifications per second and device', count(1, 1_000), 1)
    .option('--updates <n>', 'updates in each notification', count(1, 500), 20)
    .option('--ingest <n>', 'ingest processes', count(1, 9), 2)
    .option('--replicator <n>', 'replicator processes', count(1, 9), 1)
    .option('--query-api <n>', 'query-api processes', count(1, 9), 2)
    .option('--brokers <n>', 'Kafka brokers, 1 or 3', count(1, 3), 1)
    .option('--clean', 'forget the data of earlier runs first', false)
    .option('--data <dir>', 'folder for data and logs', '.holdfast')
    .option('--schema-registry-url <url>', 'external schema registry; unset: schemas are kept in Kafka')
    .action(async (flags: DevFlags) => done(await runDev(flags, context)));
}

async function runDev(flags: DevFlags, context: CliContext): Promise<ExitCode> {
  const { print, printError } = context;
  if (flags.brokers === 2) {
    printError('holdfast dev: --brokers takes 1 or 3; two brokers cannot outvote each other');
    return 2;
  }
  if (flags.clean) await rm(flags.data, { recursive: true, force: true });
  const settings = flags.schemaRegistryUrl === undefined ? {} : { schemaRegistryUrl: flags.schemaRegistryUrl };
  const session = new DevSession(
    { ...flags, brokers: flags.brokers === 3 ? 3 : 1, dataDir: flags.data, settings },
    context,
  );
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      session.kill();
      context.exitNow(130);
    }
    print('');
    controller.abort(new Error('stopped'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    await session.start(controller.signal);
    await new Promise<void>((resolve) => {
      if (controller.signal.aborted) resolve();
      else controller.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return 0;
  } catch (thrown) {
    if (isAbort(thrown, controller.signal)) return 0;
    throw thrown;
  } finally {
    await session.stop();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
