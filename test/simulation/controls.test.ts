/** Control runs: with one rule of the lock switched off, in a copy of the source, the simulation must find it. */
import { expect, test } from '@jest/globals';
import { Mutant } from './mutant.ts';
import { type Mutation, mutations } from './mutations.ts';

/** What a seed does changes with the code: where the kept one finds nothing any more, so many others are tried. */
const othersMax = 400;

async function findsIt(mutation: Mutation): Promise<string> {
  const mutant = new Mutant(mutation);
  try {
    const kept = await mutant.search(mutation.seed, 1);
    if (kept !== '') return kept;
    const other = await mutant.search(1, othersMax);
    if (other !== '')
      process.stdout.write(`control "${mutation.name}": seed ${mutation.seed} finds nothing now, ${other}\n`);
    return other;
  } finally {
    mutant.remove();
  }
}

test.concurrent.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
  'without its rule the lock breaks: %s',
  async (_name, mutation) => {
    const line = await findsIt(mutation);
    const invariant = /^SEED=\d+ (O\d+)/.exec(line)?.[1] ?? 'nothing';
    expect(mutation.breaks).toContain(invariant);
  },
  300_000,
);
