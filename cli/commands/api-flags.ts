/** What the commands that ask a running query-api over HTTP have in common: their flags, and the client these make. */
import { type Command, InvalidArgumentError } from 'commander';
import { ApiClient, serverUrl } from '../api-client.ts';
import { type CliContext, type ExitCode } from '../context.ts';

export interface ApiFlags {
  readonly server?: string;
  readonly json?: boolean;
}

export type Done = (code: ExitCode) => void;

export function withServer(command: Command): Command {
  return command
    .option('--server <url>', 'query-api to ask (default: HOLDFAST_SERVER, the running `holdfast dev`, port 8080)')
    .option('--json', 'print JSON');
}

/** Throws `SETTING_INVALID` for an address that is none. */
export function apiOf(flags: ApiFlags, context: CliContext): ApiClient {
  const { env, clock } = context;
  const user = env['USER'] ?? env['LOGNAME'];
  return new ApiClient(serverUrl(flags.server, env), { clock, ...(user === undefined ? {} : { user }) });
}

/** For a flag that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** For a flag that takes a whole number from 1. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

/** `label=site=fra` for the query string; must have a name and an equals sign. */
export function labelFlag(value: string, before: readonly string[] = []): readonly string[] {
  if (value.indexOf('=') < 1) throw new InvalidArgumentError('It must be written name=value.');
  return collect(value, before);
}

export function printJson(data: unknown, context: CliContext): void {
  context.print(JSON.stringify(data, null, 2));
}
