import { Command, CommanderError } from 'commander';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { registerConfig } from './commands/config.ts';
import { registerDev } from './commands/dev.ts';
import { registerDevices } from './commands/devices.ts';
import { registerDrain } from './commands/drain.ts';
import { registerGet } from './commands/get.ts';
import { registerInstances } from './commands/instances.ts';
import { registerMove } from './commands/move.ts';
import { registerOwnership } from './commands/ownership.ts';
import { registerProfiles } from './commands/profiles.ts';
import { registerServices } from './commands/serve.ts';
import { registerSubscribe } from './commands/subscribe.ts';
import { registerTopics } from './commands/topics.ts';
import { type CliContext, type ExitCode } from './context.ts';
import { versionOf } from './version.ts';

/** Parses the command line, runs one command and returns its exit code; nothing in here ends the process. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  let code: ExitCode = 0;
  const done = (result: ExitCode): void => {
    code = result;
  };
  const program = new Command('holdfast')
    .description('Kafka-native gNMI telemetry gateway: one device, one holder, every reader')
    .exitOverride()
    .showHelpAfterError('(add --help for the flags of a command)')
    .configureOutput({
      writeOut: (text) => context.print(text.trimEnd()),
      writeErr: (text) => context.printError(text.trimEnd()),
    });
  registerDev(program, context, done);
  registerServices(program, context, done);
  registerDevices(program, context, done);
  registerProfiles(program, context, done);
  registerGet(program, context, done);
  registerSubscribe(program, context, done);
  registerOwnership(program, context, done);
  registerInstances(program, context, done);
  registerDrain(program, context, done);
  registerMove(program, context, done);
  registerTopics(program, context, done);
  registerConfig(program, context, done);
  program
    .command('version')
    .description('print the version')
    .action(() => context.print(versionOf(context)));
  inheritExitOverride(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (thrown) {
    return reportFailure(thrown, context);
  }
}

/** Subcommands do not inherit how errors end; without this a wrong flag would end the process in the library. */
function inheritExitOverride(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritExitOverride(child);
  }
}

function reportFailure(thrown: unknown, context: CliContext): ExitCode {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2; // the library has printed why
  if (thrown instanceof HoldfastError) {
    context.printError(`holdfast: ${thrown.code}: ${thrown.message}`);
    return thrown.code === 'SETTING_INVALID' || thrown.code === 'SETTING_UNKNOWN' ? 2 : 1;
  }
  context.printError(
    `holdfast: INTERNAL: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)}`,
  );
  return 1;
}
