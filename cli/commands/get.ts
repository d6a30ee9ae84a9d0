/** `holdfast get PATH`: present values, with age and position. */
import { type Command } from 'commander';
import { type ApiClient } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { formatDuration, formatTable } from '../table-output.ts';
import {
  type ApiFlags,
  apiOf,
  collect,
  type Done,
  labelFlag,
  printJson,
  wholeNumber,
  withServer,
} from './api-flags.ts';

interface LeafRow {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly value: unknown;
  readonly ageMs: number;
  readonly position: string;
}

interface StateData {
  readonly leaves: readonly LeafRow[];
  readonly total: number;
  readonly unsynced: readonly string[];
  readonly cursor: string;
  readonly next: string | null;
}

interface GetFlags extends ApiFlags {
  readonly device?: readonly string[];
  readonly label?: readonly string[];
  readonly limit: number;
}

/** A longer value would push the columns behind it off the screen; `--json` has it whole. */
const valueLengthMax = 80;
const pageMax = 10_000;

export function registerGet(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('get <path>'))
    .description('present values below a path; * and ... match anything, keys may be left out')
    .option('--device <name>', 'only this device; may be repeated', collect)
    .option('--label <name=value>', 'only devices with this label; may be repeated', labelFlag)
    .option('--limit <n>', 'at most so many values', wholeNumber, 100)
    .action(async (path: string, flags: GetFlags) => {
      const data = await readLeaves(apiOf(flags, context), path, flags);
      if (flags.json === true) printJson(data, context);
      else {
        context.print(data.leaves.length === 0 ? 'nothing there' : formatLeaves(data.leaves));
        for (const note of notesOn(data)) context.printError(note);
      }
      done(0);
    });
}

async function readLeaves(api: ApiClient, path: string, flags: GetFlags): Promise<StateData> {
  const leaves: LeafRow[] = [];
  const query = new URLSearchParams({ path });
  for (const device of flags.device ?? []) query.append('device', device);
  for (const label of flags.label ?? []) query.append('label', label);
  for (;;) {
    query.set('limit', String(Math.min(pageMax, flags.limit - leaves.length)));
    const page = (await api.call('GET', `/api/v1/state?${query.toString()}`)) as StateData;
    for (const leaf of page.leaves) leaves.push(leaf);
    if (page.next === null || leaves.length >= flags.limit) return { ...page, leaves };
    query.set('next', page.next);
  }
}

function formatLeaves(leaves: readonly LeafRow[]): string {
  return formatTable(
    ['device', 'path', 'value', 'age', 'position'],
    leaves.map(({ device, origin, path, value, ageMs, position }) => [
      device,
      origin === 'openconfig' ? path : `${origin}:${path}`,
      shortened(JSON.stringify(value)),
      formatDuration(ageMs),
      position,
    ]),
  );
}

function shortened(text: string): string {
  return text.length <= valueLengthMax ? text : `${text.slice(0, valueLengthMax)}… (${text.length} characters)`;
}

/** What a reader must know beside the values: nothing old may look current. */
function notesOn({ leaves, total, unsynced, next }: StateData): string[] {
  const notes: string[] = [];
  if (next !== null) notes.push(`${leaves.length} of ${total} values shown; --limit ${total} shows all`);
  if (unsynced.length > 0) {
    const names = `${unsynced.slice(0, 5).join(', ')}${unsynced.length > 5 ? ', …' : ''}`;
    notes.push(
      `no synced session with ${unsynced.length} of the devices asked (${names}): their values may be old or missing`,
    );
  }
  return notes;
}
