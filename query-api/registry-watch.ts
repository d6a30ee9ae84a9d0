/**
 * Whether the external schema registry answers: for the log and `/cluster` only. Nothing that runs needs it, so a
 * registry that is away makes nobody unready.
 */
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';

export interface RegistryWatchOptions {
  /** Resolves when the registry answers; has a time limit of its own. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
  readonly everyMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class RegistryWatch implements Component {
  readonly name = 'registry watch';
  readonly #options: RegistryWatchOptions;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;
  #answers = true;

  constructor(options: RegistryWatchOptions) {
    this.#options = options;
  }

  /** True until a request was left without an answer, and again from the next answer on. */
  get answers(): boolean {
    return this.#answers;
  }

  start(_signal: AbortSignal): Promise<void> {
    this.#watching ??= this.#watch();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the registry watch was stopped'));
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { ask, clock, logger, everyMs = 2_000 } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      const problem = await ask(signal).then(
        () => null,
        (thrown: unknown) => messageOf(thrown),
      );
      if (signal.aborted) return;
      if (problem === null && !this.#answers) logger.info({}, 'schema registry answers again');
      if (problem !== null && this.#answers) {
        logger.warn(
          { cause: problem },
          'schema registry does not answer; what runs goes on, new processes wait for it',
        );
      }
      this.#answers = problem === null;
      const slept = await clock.sleep(everyMs, signal).then(
        () => true,
        () => false,
      );
      if (!slept) return;
    }
  }
}
