/** `holdfast move SLOT INSTANCE`: a slot changes its owner, of ingest or of the replicators as the instance's role is. */
import { type Command } from 'commander';
import { HoldfastError } from '../../core/errors.ts';
import { type ApiClient } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { printable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';
import { readOwnership, type SlotRow } from './ownership.ts';
import { type WaitFlags, waitForWish, withWait } from './wish-wait.ts';

interface MoveFlags extends ApiFlags, WaitFlags {}

interface Wished {
  readonly slot: number;
  readonly group: string;
  readonly to: string;
  readonly pending: boolean;
}

export function registerMove(program: Command, context: CliContext, done: Done): void {
  withWait(withServer(program.command('move <slot> <instance>')))
    .description('move a slot to an instance')
    .action(async (slot: string, instance: string, flags: MoveFlags) => {
      done((await move(slot, instance, flags, context)) ? 0 : 1);
    });
}

/** False: the slot is not there when the time is over. */
async function move(slot: string, instance: string, flags: MoveFlags, context: CliContext): Promise<boolean> {
  const api = apiOf(flags, context);
  const path = `/api/v1/ownership/${encodeURIComponent(slot)}:move`;
  const { data, warnings } = await api.send('POST', path, { to: instance });
  for (const warning of warnings) context.printError(printable(`warning: ${warning}`));
  const wished = data as Wished;
  const say = (line: string): void => {
    if (flags.json !== true) context.print(printable(line));
  };
  if (!flags.wait) {
    if (flags.json === true) printJson(data, context);
    say(`slot ${slot} ${wished.pending ? 'is to move to' : 'is held by'} ${instance}`);
    return true;
  }
  const { fulfilled, state } = await waitForWish({
    clock: context.clock,
    timeoutMs: flags.timeout * 1_000,
    look: () => readSlot(api, wished),
    isFulfilled: ({ owner, state: phase }) => owner === instance && phase === 'held',
    describe,
    tell: say,
  });
  if (flags.json === true) printJson(state, context);
  if (fulfilled) say(describe(state));
  else {
    const line = `holdfast: ${describe(state)} after ${flags.timeout} s, not by ${instance}; ${standing(state)}`;
    context.printError(printable(line));
  }
  return fulfilled;
}

async function readSlot(api: ApiClient, { slot, group }: Wished): Promise<SlotRow> {
  const { slots } = await readOwnership(api, group);
  const row = slots.find((candidate) => candidate.slot === slot);
  if (row === undefined) throw new HoldfastError('INTERNAL', `${api.base} does not list slot ${slot} of ${group}`);
  return row;
}

function describe({ slot, owner }: SlotRow): string {
  return `slot ${slot} is held by ${owner ?? 'nobody'}`;
}

function standing({ wish }: SlotRow): string {
  return wish === null ? 'no wish stands' : `the wish to move it to ${wish} stands`;
}
