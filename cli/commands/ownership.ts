/** `holdfast ownership`: who holds which slot. */
import { type Command, Option } from 'commander';
import { type ApiClient } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { formatTable, printable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';

export interface SlotRow {
  readonly slot: number;
  readonly state: string;
  readonly owner: string | null;
  readonly standby: string | null;
  /** The instance that it is to move to. */
  readonly wish: string | null;
  readonly epoch: string | null;
  readonly position: string | null;
  readonly reason: string | null;
}

export interface Ownership {
  readonly plan: { readonly version: string; readonly leader: string | null } | null;
  readonly slots: readonly SlotRow[];
}

export function registerOwnership(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('ownership'))
    .description('who holds which slot')
    .addOption(new Option('--group <group>', 'whose slots').choices(['ingest', 'replicator']).default('ingest'))
    .action(async (flags: ApiFlags & { group: string }) => {
      const ownership = await readOwnership(apiOf(flags, context), flags.group);
      if (flags.json === true) printJson(ownership, context);
      else context.print(`${formatPlan(ownership)}\n${formatSlots(ownership.slots)}`);
      done(0);
    });
}

/** `group`: `ingest` or `replicator`. */
export async function readOwnership(api: ApiClient, group: string): Promise<Ownership> {
  const all = await api.whole('/api/v1/ownership', new URLSearchParams({ group }), 'slots');
  return all as unknown as Ownership;
}

function formatPlan({ plan }: Ownership): string {
  if (plan === null) return 'no plan yet: no instance of this group has started';
  return printable(`leader ${plan.leader ?? '-'}, plan version ${plan.version}`);
}

function formatSlots(slots: readonly SlotRow[]): string {
  return formatTable(
    ['slot', 'state', 'owner', 'standby', 'wish', 'epoch', 'position', 'reason'],
    slots.map(({ slot, state, owner, standby, wish, epoch, position, reason }) => [
      String(slot),
      state,
      owner ?? '-',
      standby ?? '-',
      wish ?? '-',
      epoch ?? '-',
      position ?? '-',
      reason ?? '-',
    ]),
  );
}
