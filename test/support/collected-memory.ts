import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eventually } from './eventually.ts';
import { type HoldfastProcess } from './holdfast-process.ts';
import { repositoryRoot } from './repository-root.ts';

/** What a process holds after a collection. It must have been started with `collectorEnv`. */
export interface CollectedMemory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

export const collectorEnv = {
  NODE_OPTIONS: `--import ${pathToFileURL(join(repositoryRoot, 'bench', 'gc-on-signal.mjs')).href}`,
};

export async function collectedMemory(process_: HoldfastProcess): Promise<CollectedMemory> {
  const said = (): CollectedMemory[] =>
    process_.logs.flatMap(({ memory }) => (memory === undefined ? [] : [memory as CollectedMemory]));
  const before = said().length;
  process_.signal('SIGUSR2');
  return eventually('the process said what it holds', 20_000, () => {
    const all = said();
    return all.length > before ? all.at(-1)! : undefined;
  });
}
