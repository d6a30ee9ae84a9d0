/** `holdfast devices list | show | import | remove`. */
import { readFileSync } from 'node:fs';
import { type Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { HoldfastError, messageOf } from '../../core/errors.ts';
import { type CliContext } from '../context.ts';
import { formatDuration, formatTable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, labelFlag, printJson, withServer } from './api-flags.ts';

interface DeviceRow {
  readonly name: string;
  readonly addresses?: readonly string[];
  readonly profiles?: readonly string[];
  readonly disabled?: boolean;
  readonly status?: {
    readonly state: string;
    readonly since: string;
    readonly instance: string;
    readonly code: string | null;
    readonly detail: string | null;
  } | null;
}

interface Tally {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
}

export function registerDevices(program: Command, context: CliContext, done: Done): void {
  const group = program.command('devices').description('list, show, add, change and remove devices');
  withServer(group.command('list'))
    .description('all devices with the state of their sessions')
    .option('--label <name=value>', 'only those with this label; may be repeated', labelFlag)
    .action(async (flags: ApiFlags & { label?: readonly string[] }) => {
      const query = new URLSearchParams((flags.label ?? []).map((label): [string, string] => ['label', label]));
      const rows = (await apiOf(flags, context).pages('/api/v1/devices', query, 'devices')) as readonly DeviceRow[];
      if (flags.json === true) printJson(rows, context);
      else context.print(formatDevices(rows, context.clock.nowMs(), flags.label !== undefined));
      done(0);
    });
  withServer(group.command('show <name>'))
    .description('one device: what is wanted of it, and how it is')
    .action(async (name: string, flags: ApiFlags) => {
      printJson(await apiOf(flags, context).call('GET', `/api/v1/devices/${encodeURIComponent(name)}`), context);
      done(0);
    });
  withServer(group.command('remove <name>'))
    .description('end the session and forget the state of a device')
    .action(async (name: string, flags: ApiFlags) => {
      await apiOf(flags, context).call('DELETE', `/api/v1/devices/${encodeURIComponent(name)}`);
      if (flags.json === true) printJson({ removed: name }, context);
      else context.print(`device ${name} removed`);
      done(0);
    });
  withServer(group.command('import <file>'))
    .description('add or change every device and profile of a YAML or JSON file; none if one of them is wrong')
    .action(async (file: string, flags: ApiFlags) => {
      const { data, warnings } = await apiOf(flags, context).send('POST', '/api/v1/devices:import', readDocument(file));
      for (const warning of warnings) context.printError(`warning: ${warning}`);
      if (flags.json === true) printJson(data, context);
      else context.print(describeImport(data as { devices: Tally; profiles: Tally }));
      done(0);
    });
}

function readDocument(file: string): unknown {
  try {
    return parseYaml(readFileSync(file, 'utf8'));
  } catch (thrown) {
    throw new HoldfastError('BODY_INVALID', `cannot read ${file}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function describeImport({ devices, profiles }: { devices: Tally; profiles: Tally }): string {
  const line = (noun: string, { created, updated, unchanged }: Tally): string =>
    `${noun}: ${created} created, ${updated} updated, ${unchanged} unchanged`;
  return `${line('devices', devices)}\n${line('profiles', profiles)}`;
}

function formatDevices(rows: readonly DeviceRow[], nowMs: number, filtered: boolean): string {
  if (rows.length === 0) {
    return filtered ? 'no device has this label' : 'there are no devices; `holdfast devices import FILE` adds some';
  }
  return formatTable(
    ['device', 'state', 'since', 'instance', 'addresses', 'profiles', 'trouble'],
    rows.map(({ name, status, addresses = [], profiles = [], disabled = false }) => [
      name,
      disabled ? 'disabled' : (status?.state ?? 'no owner yet'),
      status ? formatDuration(Math.max(0, nowMs - Number(BigInt(status.since) / 1_000_000n))) : '-',
      status?.instance ?? '-',
      addresses.join(','),
      profiles.join(',') || '-',
      [status?.code, status?.detail].filter(Boolean).join(': '),
    ]),
  );
}
