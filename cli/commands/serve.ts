import { type Command } from 'commander';
import { isAbort } from '../../core/abort.ts';
import { type Settings } from '../../core/config.ts';
import { HoldfastError, messageOf } from '../../core/errors.ts';
import { startAll } from '../../core/lifecycle.ts';
import { createLogger, type LogFormat, type LogLevel } from '../../core/logger.ts';
import { stopOnSignals } from '../../core/signals.ts';
import { checkExactIntegers } from '../../schemas/exact-integers.ts';
import { type CliContext, type ExitCode } from '../context.ts';
import { allSettingNames, ingest, queryApi, replicator, type ServiceDefinition, simulator } from '../services.ts';
import { addSettingFlags, settingsOf } from '../settings-flags.ts';
import { versionOf } from '../version.ts';

/** `holdfast ingest | replicator | query-api | simulate`: one part as this process, until a signal or a fatal error. */
export function registerServices(program: Command, context: CliContext, done: (code: ExitCode) => void): void {
  registerService(program, ingest, context, done);
  registerService(program, replicator, context, done);
  registerService(program, queryApi, context, done);
  registerService(program, simulator, context, done);
}

function registerService<S extends Settings>(
  program: Command,
  service: ServiceDefinition<S>,
  context: CliContext,
  done: (code: ExitCode) => void,
): void {
  addSettingFlags(program.command(service.command).description(service.description), service.settings).action(
    async (flags: Record<string, unknown>) => done(await serve(service, flags, context)),
  );
}

async function serve<S extends Settings>(
  service: ServiceDefinition<S>,
  flags: Record<string, unknown>,
  context: CliContext,
): Promise<ExitCode> {
  checkExactIntegers();
  const { values } = settingsOf(service.settings, flags, context, allSettingNames);
  const log = values as { logLevel?: LogLevel; logFormat?: LogFormat };
  const logger = createLogger(
    { level: log.logLevel ?? 'info', format: log.logFormat ?? (context.isTerminal ? 'pretty' : 'json') },
    { part: service.command },
  );
  const stop = stopOnSignals(logger, () => context.exitNow(130));
  let fatal: Error | undefined;
  const onFatal = (error: Error): void => {
    fatal ??= error;
    stop.abort(error);
  };
  const { clock, random, env } = context;
  const { components } = service.create(values, { clock, random, logger, env, version: versionOf(context), onFatal });
  try {
    const stopAll = await startAll(components, logger, stop.signal);
    logger.info({}, 'part started');
    if (!stop.signal.aborted) {
      await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    await stopAll();
  } catch (thrown) {
    if (!isAbort(thrown, stop.signal)) fatal ??= thrown instanceof Error ? thrown : new Error(messageOf(thrown));
  }
  if (fatal === undefined) {
    logger.info({}, 'part stopped');
    return 0;
  }
  const code = fatal instanceof HoldfastError ? fatal.code : 'INTERNAL';
  const facts = fatal instanceof HoldfastError ? fatal.facts : { stack: fatal.stack ?? '' };
  logger.error({ code, detail: fatal.message, facts }, 'part failed');
  return code === 'SETTING_INVALID' || code === 'SETTING_UNKNOWN' ? 2 : 1;
}
