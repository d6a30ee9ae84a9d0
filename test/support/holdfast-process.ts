import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository-root.ts';

/** One `holdfast` command as a real process: what it printed, how it ended, and the signals a test sends it. */
export class HoldfastProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  #output = '';

  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const main = join(repositoryRoot, 'dist', 'cli', 'main.js');
    if (!existsSync(main)) throw new Error('dist/ is missing: run `node scripts/prepare.mjs` first (npm test does)');
    this.name = name;
    this.#child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-2_000_000);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#exited = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Everything printed so far, both streams. */
  get output(): string {
    return this.#output;
  }

  /** Log entries printed so far, parsed; lines that are not JSON are left out. */
  get logs(): Record<string, unknown>[] {
    return this.#output.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return [];
      }
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Exit code, `null` after a signal. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 20_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
