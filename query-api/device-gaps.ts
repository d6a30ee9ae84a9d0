/**
 * Which devices have lost messages, for all streams of this instance: their owners count the gaps they mark in `status`.
 * Looked at once a second while a stream listens, whatever the number of streams.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type StatusRow } from './status-row.ts';
import { type Rows } from './tables.ts';

type GapListener = (device: string, gaps: bigint) => void;

const pollMs = 1_000;

export class DeviceGaps {
  readonly #status: Rows<StatusRow>;
  readonly #clock: Clock;
  readonly #listeners = new Set<GapListener>();
  #known = new Map<string, bigint>();
  #timer: Timer | null = null;

  constructor(status: Rows<StatusRow>, clock: Clock) {
    this.#status = status;
    this.#clock = clock;
  }

  /** Hears of every gap marked from now on. Returns the way to leave. */
  listen(listener: GapListener): () => void {
    if (this.#timer === null) {
      this.#known = this.#read();
      this.#timer = this.#clock.every(pollMs, () => this.#poll());
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#timer?.cancel();
      this.#timer = null;
    };
  }

  #read(): Map<string, bigint> {
    return new Map([...this.#status.entries()].map(([device, { status }]) => [device, status.gaps]));
  }

  #poll(): void {
    const present = this.#read();
    for (const [device, gaps] of present) {
      const more = gaps - (this.#known.get(device) ?? gaps);
      if (more > 0n) for (const listener of this.#listeners) listener(device, more);
    }
    this.#known = present;
  }
}
