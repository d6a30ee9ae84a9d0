/** `holdfast drain INSTANCE`: an instance gives up its slots; `--resume` lets it have some again. */
import { type Command } from 'commander';
import { type ApiClient } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { printable } from '../table-output.ts';
import { type ApiFlags, apiOf, type Done, printJson, withServer } from './api-flags.ts';
import { readOwnership } from './ownership.ts';
import { type WaitFlags, waitForWish, withWait } from './wish-wait.ts';

interface DrainFlags extends ApiFlags, WaitFlags {
  readonly resume?: boolean;
}

interface Held {
  readonly instance: string;
  /** Of a group. */
  readonly slots: number;
  readonly held: readonly number[];
}

export function registerDrain(program: Command, context: CliContext, done: Done): void {
  withWait(withServer(program.command('drain <instance>')))
    .description('move every slot off an instance and give it none until it restarts or is resumed')
    .option('--resume', 'withdraw the drain: the instance may hold slots again')
    .action(async (instance: string, flags: DrainFlags) => {
      const api = apiOf(flags, context);
      if (flags.resume === true) await resume(api, instance, flags, context);
      else if (!(await drain(api, instance, flags, context))) {
        done(1);
        return;
      }
      done(0);
    });
}

async function resume(api: ApiClient, instance: string, flags: ApiFlags, context: CliContext): Promise<void> {
  const data = await api.call('POST', `/api/v1/instances/${encodeURIComponent(instance)}:resume`);
  const { withdrawn } = data as { withdrawn: boolean };
  if (flags.json === true) printJson(data, context);
  else context.print(printable(withdrawn ? `${instance} may hold slots again` : `${instance} was not drained`));
}

/** False: the instance still holds slots when the time is over. */
async function drain(api: ApiClient, instance: string, flags: DrainFlags, context: CliContext): Promise<boolean> {
  const { data, warnings } = await api.send('POST', `/api/v1/instances/${encodeURIComponent(instance)}:drain`);
  for (const warning of warnings) context.printError(printable(`warning: ${warning}`));
  const say = (line: string): void => {
    if (flags.json !== true) context.print(printable(line));
  };
  if (!flags.wait) {
    if (flags.json === true) printJson(data, context);
    say(`${instance} is to give up its slots`);
    return true;
  }
  const { fulfilled, state } = await waitForWish({
    clock: context.clock,
    timeoutMs: flags.timeout * 1_000,
    look: () => heldBy(api, instance),
    isFulfilled: ({ held }) => held.length === 0,
    describe: ({ held, slots }) => `${instance} holds ${held.length} of ${slots} slots`,
    tell: say,
  });
  if (flags.json === true) printJson(state, context);
  if (fulfilled) say(`${instance} is empty`);
  else context.printError(printable(stillHeld(state, flags.timeout)));
  return fulfilled;
}

async function heldBy(api: ApiClient, instance: string): Promise<Held> {
  const groups = await Promise.all([readOwnership(api, 'ingest'), readOwnership(api, 'replicator')]);
  const held = groups.flatMap(({ slots }) => slots.filter(({ owner }) => owner === instance).map(({ slot }) => slot));
  return { instance, slots: groups[0].slots.length, held };
}

function stillHeld({ instance, slots, held }: Held, timeoutSeconds: number): string {
  const which = `${held.length} of ${slots} slots after ${timeoutSeconds} s: ${held.join(', ')}`;
  return `holdfast: ${instance} still holds ${which}; the wish stands, \`holdfast drain ${instance} --resume\` withdraws it`;
}
