import pino from 'pino';
import pretty from 'pino-pretty';

/**
 * Log events are a constant lower-case phrase plus fields, one per state change: `log.info({ device }, 'session opened')`.
 * A steady state is silent; whatever can repeat goes through `RateLimited`.
 */
export interface Logger {
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
  child(fields: object): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFormat = 'json' | 'pretty';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; standard output unless a test says otherwise. */
  readonly destination?: { write(line: string): void };
}

export function createLogger(options: LoggerOptions, fields: object = {}): Logger {
  const settings = {
    level: options.level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: pino.stdSerializers.err },
  };
  if (options.destination !== undefined) return pino(settings, options.destination);
  if (options.format === 'pretty') {
    return pino(settings, pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true }));
  }
  return pino(settings, pino.destination({ fd: 1, sync: true }));
}

/** For parts under test that must not print. */
export const silentLogger: Logger = createLogger({ level: 'silent', format: 'json' });

/** Lets one event a period through per key and counts what it held back, so that a storm is one line with a number. */
export class RateLimited {
  readonly #periodMs: number;
  readonly #keysMax = 1000;
  readonly #seen = new Map<string, { atMs: number; suppressed: number }>();

  constructor(periodMs = 10_000) {
    this.#periodMs = periodMs;
  }

  /** `undefined`: stay silent. A number: log now, and say that so many like it were suppressed since the last line. */
  pass(key: string, monotonicMs: number): number | undefined {
    const entry = this.#seen.get(key);
    if (entry !== undefined && monotonicMs - entry.atMs < this.#periodMs) {
      entry.suppressed += 1;
      return undefined;
    }
    if (entry === undefined && this.#seen.size >= this.#keysMax) this.#seen.clear();
    this.#seen.set(key, { atMs: monotonicMs, suppressed: 0 });
    return entry?.suppressed ?? 0;
  }
}
