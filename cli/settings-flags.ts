import { type Command } from 'commander';
import {
  flagName,
  loadSettings,
  type LoadedSettings,
  readSettingsFile,
  type Settings,
  type SettingInputs,
} from '../core/config.ts';
import { type CliContext } from './context.ts';

/** Settings that belong to the command line itself, so that their environment names are not taken for mistakes. */
const commandLineNames = ['server'];

/** Gives a command one flag per setting, and `--config`. */
export function addSettingFlags(command: Command, settings: Settings): Command {
  command.option('--config <file>', 'YAML file of settings');
  for (const [name, setting] of Object.entries(settings)) {
    const fallback = setting.default === undefined ? '' : ` (default: ${formatDefault(setting.default)})`;
    command.option(`${flagName(name)} <value>`, `${setting.doc}${fallback}`);
  }
  return command;
}

/** Reads a command's settings from its flags, the environment and the file it names. Throws with all problems. */
export function settingsOf<S extends Settings>(
  settings: S,
  flags: Readonly<Record<string, unknown>>,
  context: CliContext,
  allNames: ReadonlySet<string>,
): LoadedSettings<S> {
  const file = flags['config'] ?? context.env['HOLDFAST_CONFIG'];
  const inputs: SettingInputs = {
    flags,
    env: context.env,
    knownElsewhere: new Set([...allNames, ...commandLineNames, 'config']),
    ...(typeof file === 'string' ? { file: readSettingsFile(file) } : {}),
  };
  return loadSettings(settings, inputs);
}

function formatDefault(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
