/** `holdfast subscribe PATH`: present values, and then every change of them. */
import { type Command } from 'commander';
import { serverUrl } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { eventStream, type StreamedEvent } from '../event-stream.ts';
import { printable } from '../table-output.ts';
import { type ApiFlags, collect, type Done, labelFlag, wholeNumber, withServer } from './api-flags.ts';

interface SubscribeFlags extends ApiFlags {
  readonly device?: readonly string[];
  readonly label?: readonly string[];
  readonly count?: number;
  readonly untilSynced?: boolean;
}

interface Said {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly timestamp: string;
  readonly value?: unknown;
  readonly coalesced?: number;
}

export function registerSubscribe(program: Command, context: CliContext, done: Done): void {
  withServer(program.command('subscribe <path>'))
    .description('present values below a path, then every change; comes back by itself where it was cut off')
    .option('--device <name>', 'only this device; may be repeated', collect)
    .option('--label <name=value>', 'only devices with this label; may be repeated', labelFlag)
    .option('--count <n>', 'end after so many values and deletes', wholeNumber)
    .option('--until-synced', 'end when the present values are complete')
    .action(async (path: string, flags: SubscribeFlags) => {
      await subscribe(path, flags, context);
      done(0);
    });
}

async function subscribe(path: string, flags: SubscribeFlags, context: CliContext): Promise<void> {
  const query = new URLSearchParams({ path });
  for (const device of flags.device ?? []) query.append('device', device);
  for (const label of flags.label ?? []) query.append('label', label);
  const server = serverUrl(flags.server, context.env).replace(/\/+$/, '');
  const url = `${server}/api/v1/state/stream?${query.toString()}`;
  const onLost = (reason: string): void => context.printError(`${reason}; trying again`);
  let left = flags.count ?? Number.POSITIVE_INFINITY;
  for await (const event of eventStream({ url, clock: context.clock, onLost })) {
    if (flags.json === true) context.print(JSON.stringify(event));
    else tell(event, context);
    left -= saidIn(event).length;
    if (left <= 0 || (flags.untilSynced === true && event.event === 'synced')) return;
  }
}

/** Values go to standard output, what is to be known about them to standard error. */
function tell(event: StreamedEvent, context: CliContext): void {
  if (event.event === 'synced') context.printError('synced: the present values are complete, changes follow');
  if (event.event === 'gap') context.printError(`gap: ${gapText(event.data)}`);
  for (const said of saidIn(event)) context.print(formatSaid(said));
}

function saidIn({ data }: StreamedEvent): readonly Said[] {
  return (data['leaves'] ?? data['deletes'] ?? []) as readonly Said[];
}

function gapText(data: StreamedEvent['data']): string {
  const { reason, device, lost, from, to } = data as Record<'reason', string> &
    Record<'device' | 'lost' | 'from' | 'to', string | null>;
  if (device === null) return `${reason}: forget what was said before; all values follow`;
  const [since, until] = [from === null ? '' : ` from ${timeOf(from)}`, to === null ? '' : ` until ${timeOf(to)}`];
  return printable(`${lost ?? 'some'} of device ${device}${since}${until}: what is known of it may be old`);
}

function formatSaid({ device, origin, path, timestamp, value, coalesced = 0 }: Said): string {
  const where = origin === 'openconfig' ? path : `${origin}:${path}`;
  const what = value === undefined ? 'deleted' : JSON.stringify(value);
  const more = coalesced === 0 ? '' : `  (+${coalesced} before)`;
  return printable(`${timeOf(timestamp)}  ${device}  ${where}  ${what}${more}`);
}

/** Nanoseconds as UTC, down to the millisecond. */
function timeOf(timestampNs: string): string {
  const ms = Number(BigInt(timestampNs) / 1_000_000n);
  return Math.abs(ms) > 8.64e15 ? timestampNs : new Date(ms).toISOString();
}
