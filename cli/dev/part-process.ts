import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { Backoff } from '../../core/backoff.ts';
import { type Clock, type Timer } from '../../core/clock.ts';
import { type Random } from '../../core/random.ts';

/** How one part of `holdfast dev` is run. */
export interface PartCommand {
  /** `ingest`, `replicator`, `query-api` or `simulator`. */
  readonly part: string;
  readonly instanceId: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Everything the part prints is appended here. */
  readonly logFile: string;
}

export interface PartProcessOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Every line of output, as printed. */
  readonly onLine: (line: string) => void;
  /** Called at each start (with the new process id) and each unexpected end (with why and the pause before the next). */
  readonly onStarted: (pid: number) => void;
  readonly onEnded: (why: string, restartInMs: number) => void;
}

/** Long enough for a drain (25 s) to finish first. */
const stopMsMax = 30_000;
/** A part that ran this long did start; the next pause is short again. */
const steadyMs = 30_000;

/** One part as a child process that is started again whenever it ends without having been asked to. */
export class PartProcess {
  readonly command: PartCommand;
  readonly #options: PartProcessOptions;
  readonly #backoff = new Backoff({ initialMs: 1_000, maxMs: 15_000, factor: 2, jitter: 0.1 });
  #child: ChildProcess | undefined;
  #restart: Timer | undefined;
  #stopping = false;
  #exited: Promise<void> = Promise.resolve();

  constructor(command: PartCommand, options: PartProcessOptions) {
    this.command = command;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { command, args, env, logFile } = this.command;
    const log = createWriteStream(logFile, { flags: 'a' });
    log.on('error', () => undefined); // a full disk must not end the others
    const startedAtMs = this.#options.clock.monotonicMs();
    // A process group of its own: Ctrl-C reaches `holdfast dev`, which stops its parts in order.
    const child = spawn(command, args, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    this.#watchOutput(child, log);
    this.#exited = new Promise((resolve) => {
      let ended = false;
      const onEnd = (why: string): void => {
        if (ended) return;
        ended = true;
        resolve();
        this.#onEnded(why, this.#options.clock.monotonicMs() - startedAtMs);
      };
      child.once('error', (thrown) => onEnd(thrown.message));
      child.once('close', () => log.end()); // output may come after the exit
      child.once('exit', (code, signal) => onEnd(signal === null ? `exit code ${code ?? '?'}` : signal));
    });
    if (child.pid !== undefined) this.#options.onStarted(child.pid);
  }

  /** Asks the part to stop and resolves when it has; after half a minute it is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    this.#child?.kill('SIGTERM');
    const timer = this.#options.clock.after(stopMsMax, () => this.kill());
    await this.#exited;
    timer.cancel();
  }

  /** Ends the part at once. */
  kill(): void {
    this.#stopping = true;
    this.#restart?.cancel();
    this.#child?.kill('SIGKILL');
  }

  #watchOutput(child: ChildProcess, log: WriteStream): void {
    let rest = '';
    const onChunk = (chunk: Buffer): void => {
      log.write(chunk);
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#options.onLine(line);
    };
    child.stdout?.on('data', onChunk);
    child.stderr?.on('data', onChunk);
  }

  #onEnded(why: string, ranMs: number): void {
    this.#child = undefined;
    if (this.#stopping) return;
    if (ranMs > steadyMs) this.#backoff.reset();
    const pauseMs = this.#backoff.nextMs(this.#options.random);
    this.#options.onEnded(why, pauseMs);
    this.#restart = this.#options.clock.after(pauseMs, () => this.start());
  }
}
