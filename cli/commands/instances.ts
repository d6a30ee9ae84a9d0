/** `holdfast instances`: the processes of a cluster. */
import { type Command } from 'commander';
import { type CliContext } from '../context.ts';
import { formatDuration, formatTable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';

interface InstanceRow {
  readonly instance: string;
  readonly role: string;
  readonly http: string | null;
  readonly zone: string | null;
  readonly version: string;
  readonly seenMs: number | null;
  readonly draining: boolean;
  readonly load: number;
  readonly slots: number;
}

export function registerInstances(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('instances'))
    .description('the processes of this cluster that were seen within 5 s')
    .action(async (flags: ApiFlags) => {
      const data = await apiOf(flags, context).whole('/api/v1/instances', new URLSearchParams(), 'instances');
      if (flags.json === true) printJson(data, context);
      else context.print(formatInstances(data['instances'] as readonly InstanceRow[]));
      done(0);
    });
}

function formatInstances(instances: readonly InstanceRow[]): string {
  if (instances.length === 0) return 'no instance was seen within 5 s; this query-api may have lost Kafka';
  return formatTable(
    ['instance', 'role', 'http', 'zone', 'version', 'seen', 'load', 'slots'],
    instances.map(({ instance, role, http, zone, version, seenMs, draining, load, slots }) => [
      instance,
      draining ? `${role} (draining)` : role,
      http ?? '-',
      zone ?? '-',
      version,
      seenMs === null ? '-' : `${formatDuration(seenMs)} ago`,
      load.toFixed(2),
      String(slots),
    ]),
  );
}
