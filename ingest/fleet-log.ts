import { type Clock, type Timer } from '../core/clock.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';

/**
 * Log lines about devices: one per change of state, a moment after it happened; unless many devices change within that
 * moment: then all of them are one line with their number by event and cause. A fleet that loses its power is not two
 * thousand lines, and what was not printed is still counted.
 *
 * F1. Memory is bounded: beyond `linesMax` events only counts are kept, and causes come from closed lists.
 */
export interface FleetEvent {
  readonly level: 'info' | 'warn';
  readonly event: string;
  /** From a closed list: what a summary counts by. */
  readonly cause: string;
  readonly fields: object;
}

export interface FleetLogOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** How long events are gathered before they are printed, and for how long while many devices change. */
  readonly gatherMs?: number;
  readonly stormMs?: number;
  /** More events than this are one line. */
  readonly linesMax?: number;
}

export class FleetLog implements Component {
  readonly name = 'fleet log';
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #gatherMs: number;
  readonly #stormMs: number;
  readonly #linesMax: number;
  readonly #counts = new Map<string, number>();
  #gathered: FleetEvent[] = [];
  #events = 0;
  /** Something among the events is worth a warning. */
  #worrying = false;
  #waitMs: number;
  #running = false;
  #timer: Timer | null = null;

  constructor(options: FleetLogOptions) {
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#gatherMs = this.#waitMs = options.gatherMs ?? 250;
    this.#stormMs = options.stormMs ?? 2_000;
    this.#linesMax = options.linesMax ?? 10;
  }

  start(): Promise<void> {
    this.#running = true;
    return Promise.resolve();
  }

  /** Prints what was gathered; what comes later is printed at once. */
  stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#settle();
    return Promise.resolve();
  }

  say(event: FleetEvent): void {
    const key = event.cause === '' ? event.event : `${event.event} (${event.cause})`;
    this.#events += 1;
    this.#worrying ||= event.level !== 'info';
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    if (this.#gathered.length < this.#linesMax) this.#gathered.push(event);
    else this.#logger.debug(event.fields, event.event); // F1
    if (this.#running) this.#timer ??= this.#clock.after(this.#waitMs, () => this.#settle());
    else this.#settle();
  }

  #settle(): void {
    this.#timer = null;
    const isStorm = this.#events > this.#linesMax;
    if (isStorm) {
      const level = this.#worrying ? 'warn' : 'info';
      this.#logger[level]({ counts: Object.fromEntries(this.#counts) }, 'many devices changed');
    }
    for (const { level, event, fields } of this.#gathered) this.#logger[isStorm ? 'debug' : level](fields, event);
    this.#waitMs = isStorm ? this.#stormMs : this.#gatherMs;
    this.#gathered = [];
    this.#events = 0;
    this.#worrying = false;
    this.#counts.clear();
  }
}
