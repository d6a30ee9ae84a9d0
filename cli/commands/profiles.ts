/** `holdfast profiles list | show | remove`; `holdfast devices import` adds and changes them. */
import { type Command } from 'commander';
import { type CliContext } from '../context.ts';
import { formatTable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';

interface ProfileRow {
  readonly name: string;
  readonly encoding?: string;
  readonly subscriptions: readonly { readonly path: string; readonly mode: string; readonly intervalMs?: number }[];
}

export function registerProfiles(program: Command, context: CliContext, done: Done): void {
  const group = program
    .command('profiles')
    .description('list, show and remove profiles, the named sets of subscriptions');
  withServer(group.command('list'))
    .description('all profiles with their subscriptions')
    .action(async (flags: ApiFlags) => {
      const all = await apiOf(flags, context).pages('/api/v1/profiles', new URLSearchParams(), 'profiles');
      const rows = all as readonly ProfileRow[];
      if (flags.json === true) printJson(rows, context);
      else context.print(formatProfiles(rows));
      done(0);
    });
  withServer(group.command('show <name>'))
    .description('one profile')
    .action(async (name: string, flags: ApiFlags) => {
      printJson(await apiOf(flags, context).call('GET', `/api/v1/profiles/${encodeURIComponent(name)}`), context);
      done(0);
    });
  withServer(group.command('remove <name>'))
    .description('remove a profile that no device uses')
    .action(async (name: string, flags: ApiFlags) => {
      await apiOf(flags, context).call('DELETE', `/api/v1/profiles/${encodeURIComponent(name)}`);
      if (flags.json === true) printJson({ removed: name }, context);
      else context.print(`profile ${name} removed`);
      done(0);
    });
}

/** One line per subscription; the name stands at the first of a profile. */
function formatProfiles(rows: readonly ProfileRow[]): string {
  if (rows.length === 0) return 'there are no profiles; `holdfast devices import FILE` adds some';
  return formatTable(
    ['profile', 'encoding', 'mode', 'interval', 'path'],
    rows.flatMap(({ name, encoding, subscriptions }) =>
      subscriptions.map(({ path, mode, intervalMs }, index) => [
        index === 0 ? name : '',
        index === 0 ? (encoding ?? 'best offered') : '',
        mode,
        intervalMs === undefined ? '-' : `${intervalMs} ms`,
        path,
      ]),
    ),
  );
}
