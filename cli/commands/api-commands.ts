import { readFileSync } from 'node:fs';
import { type Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { HoldfastError, messageOf } from '../../core/errors.ts';
import { ApiClient, serverUrl } from '../api-client.ts';
import { type CliContext, type ExitCode } from '../context.ts';
import { formatDuration, formatTable } from '../table-output.ts';

/** Commands that ask or tell a running query-api over HTTP: `devices`, `profiles`, `get`, `ownership`, `instances`. */
interface ApiFlags {
  readonly server?: string;
  readonly json?: boolean;
}

type Done = (code: ExitCode) => void;

export function registerApiCommands(program: Command, context: CliContext, done: Done): void {
  registerDesiredState(program, context, done, 'devices');
  registerDesiredState(program, context, done, 'profiles');
  registerGet(program, context, done);
  registerOwnership(program, context, done);
  registerInstances(program, context, done);
}

function withServer(command: Command): Command {
  return command
    .option('--server <url>', 'query-api to ask (default: the running `holdfast dev`, else port 8080)')
    .option('--json', 'print JSON');
}

function apiOf(flags: ApiFlags, context: CliContext): ApiClient {
  return new ApiClient(serverUrl(flags.server, context.env));
}

interface DeviceRow {
  readonly name: string;
  readonly addresses?: readonly string[];
  readonly profiles?: readonly string[];
  readonly status?: { readonly state?: string; readonly instance?: string; readonly code?: string | null } | null;
}

function registerDesiredState(program: Command, context: CliContext, done: Done, kind: 'devices' | 'profiles'): void {
  const singular = kind.slice(0, -1);
  const group = program.command(kind).description(`list, show, add, change and remove ${kind}`);
  withServer(group.command('list'))
    .option('--label <key=value>', 'only those with this label')
    .action(async (flags: ApiFlags & { label?: string }) => {
      const query = flags.label === undefined ? '' : `&label=${encodeURIComponent(flags.label)}`;
      const data = await apiOf(flags, context).call('GET', `/api/v1/${kind}?limit=10000${query}`);
      const rows = (data as Record<string, readonly DeviceRow[]>)[kind] ?? [];
      context.print(flags.json === true ? JSON.stringify(rows, null, 2) : formatRows(rows, kind));
      done(0);
    });
  withServer(group.command('show <name>')).action(async (name: string, flags: ApiFlags) => {
    const data = await apiOf(flags, context).call('GET', `/api/v1/${kind}/${encodeURIComponent(name)}`);
    context.print(JSON.stringify(data, null, 2));
    done(0);
  });
  withServer(group.command('remove <name>')).action(async (name: string, flags: ApiFlags) => {
    await apiOf(flags, context).call('DELETE', `/api/v1/${kind}/${encodeURIComponent(name)}`);
    context.print(`${singular} ${name} removed`);
    done(0);
  });
  if (kind === 'profiles') return;
  withServer(group.command('import <file>'))
    .description(
      'add or change every device and profile of a YAML or JSON file; nothing is applied if one of them is wrong',
    )
    .action(async (file: string, flags: ApiFlags) => {
      const data = await apiOf(flags, context).call('POST', '/api/v1/devices:import', readDocument(file));
      context.print(flags.json === true ? JSON.stringify(data, null, 2) : `imported: ${describeImport(data)}`);
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

function describeImport(data: unknown): string {
  return Object.entries(data as Record<string, unknown>)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.length : String(value)}`)
    .join(', ');
}

function formatRows(rows: readonly DeviceRow[], kind: 'devices' | 'profiles'): string {
  if (kind === 'profiles')
    return formatTable(
      ['name'],
      rows.map((row) => [row.name]),
    );
  return formatTable(
    ['device', 'state', 'instance', 'code', 'addresses', 'profiles'],
    rows.map((row) => [
      row.name,
      row.status?.state ?? '-',
      row.status?.instance ?? '-',
      row.status?.code ?? '-',
      row.addresses?.join(',') ?? '-',
      row.profiles?.join(',') ?? '-',
    ]),
  );
}

interface LeafRow {
  readonly device: string;
  readonly path: string;
  readonly value: unknown;
  readonly ageMs: number;
  readonly position: string;
}

function registerGet(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('get <path>'))
    .description('present values below a path, wildcards * and ... allowed')
    .option('--device <name>', 'only this device')
    .option('--label <key=value>', 'only devices with this label')
    .option('--limit <n>', 'at most so many leaves', '100')
    .action(async (path: string, flags: ApiFlags & { device?: string; label?: string; limit: string }) => {
      const query = new URLSearchParams({ path, limit: flags.limit });
      if (flags.device !== undefined) query.set('device', flags.device);
      if (flags.label !== undefined) query.set('label', flags.label);
      const data = (await apiOf(flags, context).call('GET', `/api/v1/state?${query}`)) as {
        leaves: readonly LeafRow[];
        next: string | null;
      };
      if (flags.json === true) context.print(JSON.stringify(data, null, 2));
      else {
        context.print(
          formatTable(
            ['device', 'path', 'value', 'age', 'position'],
            data.leaves.map((leaf) => [
              leaf.device,
              leaf.path,
              JSON.stringify(leaf.value),
              formatDuration(leaf.ageMs),
              leaf.position,
            ]),
          ),
        );
        if (data.next !== null) context.print(`(more: raise --limit above ${flags.limit})`);
      }
      done(0);
    });
}

interface SlotRow {
  readonly slot: number;
  readonly state: string;
  readonly owner: string | null;
  readonly epoch: string | null;
  readonly position: string | null;
  readonly reason: string | null;
}

function registerOwnership(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('ownership'))
    .description('who holds which slot')
    .option('--group <group>', 'ingest or replicator', 'ingest')
    .action(async (flags: ApiFlags & { group: string }) => {
      const data = (await apiOf(flags, context).call(
        'GET',
        `/api/v1/ownership?group=${encodeURIComponent(flags.group)}`,
      )) as {
        slots: readonly SlotRow[];
      };
      context.print(
        flags.json === true
          ? JSON.stringify(data, null, 2)
          : formatTable(
              ['slot', 'state', 'owner', 'epoch', 'position', 'reason'],
              data.slots.map((row) => [
                String(row.slot),
                row.state,
                row.owner ?? '-',
                row.epoch ?? '-',
                row.position ?? '-',
                row.reason ?? '-',
              ]),
            ),
      );
      done(0);
    });
}

interface InstanceRow {
  readonly instance: string;
  readonly role: string;
  readonly http: string;
  readonly seenMs: number;
  readonly load: number;
  readonly slots: number;
}

function registerInstances(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('instances'))
    .description('the processes of this cluster')
    .action(async (flags: ApiFlags) => {
      const data = (await apiOf(flags, context).call('GET', '/api/v1/instances')) as {
        instances: readonly InstanceRow[];
      };
      context.print(
        flags.json === true
          ? JSON.stringify(data, null, 2)
          : formatTable(
              ['instance', 'role', 'http', 'seen', 'load', 'slots'],
              data.instances.map((row) => [
                row.instance,
                row.role,
                row.http,
                `${formatDuration(row.seenMs)} ago`,
                row.load.toFixed(2),
                String(row.slots),
              ]),
            ),
      );
      done(0);
    });
}
