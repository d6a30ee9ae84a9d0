import { HoldfastProcess } from './holdfast-process.ts';

/** How a `holdfast` command that is to end by itself ended, and what it said. Killed, and `code` null, after `withinMs`. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export async function runOnce(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  withinMs = 20_000,
): Promise<Ended> {
  const running = new HoldfastProcess(args[0] ?? 'holdfast', args, env);
  const timer = setTimeout(() => running.signal('SIGKILL'), withinMs);
  const code = await running.exited;
  clearTimeout(timer);
  return { code, output: running.output };
}
