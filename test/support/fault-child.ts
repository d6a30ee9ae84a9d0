import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.ts';
import { type WitnessStats } from './fault-witness.ts';
import { type HostEvent, type LockMemberOptions } from './lock-member.ts';
import { repositoryRoot } from './repository-root.ts';

type Line = HostEvent | WitnessStats | { readonly event: 'started' | 'stopped' | 'failed' };

/** What the lock logged, as `core/logger.ts` writes it: fields beside `level`, `time` and `msg`. */
export interface ChildLogLine extends Readonly<Record<string, unknown>> {
  readonly level: string;
  /** ISO, wall clock. */
  readonly time: string;
  readonly msg: string;
}

export interface FaultChildOptions {
  /** Of another version's tree, to run that one. */
  readonly root?: string;
  /** Its clock jumps by so much, forwards at SIGHUP and back at SIGWINCH. */
  readonly jumpMs?: number;
}

/** A lock member in a process of its own (`lock-worker.ts`), to be killed, frozen and asked what it saw. */
export class FaultChild {
  readonly instanceId: string;
  readonly process: ChildProcess;
  readonly events: HostEvent[] = [];
  /** The names of all lines printed, in order. */
  readonly printed: string[] = [];
  readonly logLines: ChildLogLine[] = [];
  /** When it was killed, wall clock. */
  goneAtMs = Number.POSITIVE_INFINITY;
  #stats: WitnessStats | null = null;

  constructor(options: LockMemberOptions, { root = repositoryRoot, jumpMs }: FaultChildOptions = {}) {
    this.instanceId = options.instanceId;
    const support = (file: string): string => join(root, 'test/support', file);
    const clock = jumpMs === undefined ? [] : ['--require', support('shifted-clock.cjs')];
    const args = [...clock, '--import', 'tsx', support('lock-worker.ts'), JSON.stringify(options)];
    const env = { ...process.env, ...(jumpMs === undefined ? {} : { TEST_CLOCK_JUMP_MS: String(jumpMs) }) };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.process = child;
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line | ChildLogLine;
      if (isLogLine(line)) this.logLines.push(line);
      else this.#take(line);
    });
  }

  /** Slots that are active in it. */
  get held(): number[] {
    const held = new Set<number>();
    for (const { event, slot } of this.events) {
      if (event === 'activate') held.add(slot);
      else if (event !== 'begin') held.delete(slot);
    }
    return [...held].sort((a, b) => a - b);
  }

  /** What became of it, for a test that fails. */
  account(): string {
    const { instanceId, held, printed, process, logLines } = this;
    const ended = process.exitCode ?? process.signalCode ?? 'no';
    const said = logLines.slice(-20).map((line) => JSON.stringify(line));
    return [`${instanceId} holds [${held.join(' ')}], printed ${printed.join(' ')}, ended: ${ended}`, ...said].join(
      '\n  ',
    );
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  kill(): void {
    this.signal('SIGKILL');
    this.goneAtMs = Date.now();
  }

  /** Of this moment; of a child that has stopped, its last ones. */
  async stats(): Promise<WitnessStats> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.#stats = null;
      this.signal('SIGUSR2');
    }
    return eventually(`stats of ${this.instanceId}`, 5_000, () => this.#stats ?? undefined);
  }

  /** Ends it, whatever it is doing. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await gone;
  }

  #take(line: Line): void {
    this.printed.push(line.event);
    switch (line.event) {
      case 'stats':
        this.#stats = line;
        return;
      case 'stopped':
        this.#stats = line as unknown as WitnessStats;
        return;
      case 'started':
      case 'failed':
        return;
      case 'begin':
      case 'activate':
      case 'release':
      case 'drop':
        this.events.push(line);
    }
  }
}

function isLogLine(line: Line | ChildLogLine): line is ChildLogLine {
  return 'msg' in line;
}
