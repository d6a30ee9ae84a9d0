import { type Clock, type Timer } from '../core/clock.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';

/**
 * Log lines about sessions: one per state change of a device, until many devices change at once; then the first few are
 * printed and the rest become one line with their number by event and cause. A fleet that loses its power is not two
 * thousand lines, and what was not printed is still counted.
 */
export interface FleetEvent {
  readonly level: 'info' | 'warn';
  readonly event: string;
  /** From a closed list: what a summary counts by. */
  readonly cause: string;
  readonly fields: object;
}

export class FleetLog implements Component {
  readonly name = 'fleet log';
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #linesMax: number;
  readonly #suppressed = new Map<string, number>();
  #printed = 0;
  #timer: Timer | null = null;

  constructor(options: {
    readonly logger: Logger;
    readonly clock: Clock;
    readonly periodMs?: number;
    readonly linesMax?: number;
  }) {
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#periodMs = options.periodMs ?? 2_000;
    this.#linesMax = options.linesMax ?? 10; // lines a period
  }

  start(): Promise<void> {
    this.#timer = this.#clock.every(this.#periodMs, () => this.summarise());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.summarise();
    return Promise.resolve();
  }

  say({ level, event, cause, fields }: FleetEvent): void {
    if (this.#printed < this.#linesMax) {
      this.#printed += 1;
      this.#logger[level](fields, event);
      return;
    }
    this.#logger.debug(fields, event);
    const key = cause === '' ? event : `${event} (${cause})`;
    this.#suppressed.set(key, (this.#suppressed.get(key) ?? 0) + 1);
  }

  summarise(): void {
    this.#printed = 0;
    if (this.#suppressed.size === 0) return;
    const counts = Object.fromEntries(this.#suppressed);
    this.#suppressed.clear();
    this.#logger.info({ counts }, 'many devices changed');
  }
}
