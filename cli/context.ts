import { type Clock } from '../core/clock.ts';
import { type Random } from '../core/random.ts';

/** What a command may touch of the world around it; `main.ts` hands in the real one, tests their own. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  /** A line for people, on standard output. */
  readonly print: (line: string) => void;
  /** A line on standard error. */
  readonly printError: (line: string) => void;
  readonly isTerminal: boolean;
  /** Folder of `package.json` and `pom.xml` of this installation. */
  readonly installRoot: string;
  /** The file to run for another `holdfast` process: this command's own. */
  readonly mainFile: string;
  /** Ends the process without waiting for anybody; for the second Ctrl-C. */
  readonly exitNow: (code: number) => never;
}

/** Exit codes of the command: 0 fine, 1 failed, 2 wrong settings or usage. */
export type ExitCode = 0 | 1 | 2;
