/** `holdfast ownership`: who holds which slot. */
import { type Command, Option } from 'commander';
import { type CliContext } from '../context.ts';
import { formatTable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';

interface SlotRow {
  readonly slot: number;
  readonly state: string;
  readonly owner: string | null;
  readonly standby: string | null;
  readonly epoch: string | null;
  readonly position: string | null;
  readonly reason: string | null;
}

export function registerOwnership(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('ownership'))
    .description('who holds which slot')
    .addOption(new Option('--group <group>', 'whose slots').choices(['ingest', 'replicator']).default('ingest'))
    .action(async (flags: ApiFlags & { group: string }) => {
      const data = await apiOf(flags, context).call('GET', `/api/v1/ownership?group=${flags.group}`);
      if (flags.json === true) printJson(data, context);
      else context.print(formatSlots((data as { slots: readonly SlotRow[] }).slots));
      done(0);
    });
}

function formatSlots(slots: readonly SlotRow[]): string {
  return formatTable(
    ['slot', 'state', 'owner', 'standby', 'epoch', 'position', 'reason'],
    slots.map(({ slot, state, owner, standby, epoch, position, reason }) => [
      String(slot),
      state,
      owner ?? '-',
      standby ?? '-',
      epoch ?? '-',
      position ?? '-',
      reason ?? '-',
    ]),
  );
}
