import { createLogger, type Logger } from '../../core/logger.ts';

/** A logger whose lines a test reads. */
export interface CollectedLog {
  readonly logger: Logger;
  readonly lines: Readonly<Record<string, unknown>>[];
}

export function collectedLog(): CollectedLog {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): unknown => lines.push(JSON.parse(line) as Record<string, unknown>);
  return { logger: createLogger({ level: 'info', format: 'json', destination: { write } }), lines };
}
