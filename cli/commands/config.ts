import { type Command } from 'commander';
import { environmentName } from '../../core/config.ts';
import { type CliContext, type ExitCode } from '../context.ts';
import { allSettingNames, allSettings } from '../services.ts';
import { addSettingFlags, settingsOf } from '../settings-flags.ts';
import { formatTable } from '../table-output.ts';

/** `holdfast config check | show`: what the settings are, where each comes from, and everything wrong with them. */
export function registerConfig(program: Command, context: CliContext, done: (code: ExitCode) => void): void {
  const group = program.command('config').description('check or show the settings');
  addSettingFlags(
    group.command('check').description('report every problem; exit code 2 when there is one'),
    allSettings,
  ).action((flags: Record<string, unknown>) => {
    settingsOf(allSettings, flags, context, allSettingNames);
    context.print('settings are fine');
    done(0);
  });
  addSettingFlags(group.command('show').description('print every setting with its source'), allSettings)
    .option('--json', 'print JSON')
    .action((flags: Record<string, unknown>) => {
      const { values, sources } = settingsOf(allSettings, flags, context, allSettingNames);
      const rows = Object.keys(allSettings).map((name) => ({
        name,
        environment: environmentName(name),
        value: show((values as Record<string, unknown>)[name]),
        source: sources[name] ?? 'default',
      }));
      context.print(
        flags['json'] === true
          ? JSON.stringify(rows, null, 2)
          : formatTable(
              ['setting', 'environment', 'source', 'value'],
              rows.map((row) => [row.name, row.environment, row.source, row.value]),
            ),
      );
      done(0);
    });
}

/** Secrets are references by construction, so what is printed is where a secret is, never the secret. */
function show(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
