import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository-root.ts';
import { type Mutation } from './mutations.ts';

/**
 * A copy of the source with one rule switched off, simulated in a process of its own. The product has no switch for any of
 * its rules; a test build is the only place where one can be missing.
 */
export class Mutant {
  readonly #dir: string;
  readonly #only: readonly string[];

  constructor({ name, edits, only = [] }: Mutation) {
    this.#only = only;
    this.#dir = mkdtempSync(join(tmpdir(), 'holdfast-mutant-'));
    for (const part of ['core', 'schemas', join('test', 'simulation'), join('test', 'support')]) {
      cpSync(join(repositoryRoot, part), join(this.#dir, part), { recursive: true });
    }
    cpSync(join(repositoryRoot, 'package.json'), join(this.#dir, 'package.json'));
    symlinkSync(join(repositoryRoot, 'node_modules'), join(this.#dir, 'node_modules'));
    for (const { file, find, replace } of edits) {
      const path = join(this.#dir, file);
      const text = readFileSync(path, 'utf8');
      if (text.split(find).length !== 2)
        throw new Error(`mutation "${name}": ${JSON.stringify(find)} is not once in ${file}`);
      writeFileSync(
        path,
        text.replace(find, () => replace),
      );
    }
  }

  /** Runs seeds until one finds something. Resolves with what was printed of it, '' when nothing was found. */
  search(from: number, count: number): Promise<string> {
    const args = ['--import', 'tsx', join('test', 'simulation', 'run.ts')];
    const range = ['--first', '--from', String(from), '--count', String(count)];
    if (this.#only.length > 0) range.push('--only', this.#only.join(','));
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [...args, ...range], { cwd: this.#dir }, (error, stdout, stderr) => {
        const found = stdout.split('\n').find((line) => line.startsWith('SEED='));
        if (found !== undefined) resolve(found);
        else if (error === null) resolve('');
        else reject(new Error(`${error.message}\n${stderr.slice(-2_000)}`));
      });
    });
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
