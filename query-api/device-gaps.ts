/**
 * Which devices have lost messages, for all streams of this instance: their owners count the gaps they mark in `status`.
 * Looked at once a second while a stream listens, whatever the number of streams.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type StatusRow } from './status-row.ts';
import { type Rows } from './tables.ts';

/** Gap markers of one device, one or more. */
export interface DeviceLoss {
  readonly gaps: bigint;
  /** Clock of ingest when the first and the last of what is missing came, unix nanoseconds; null: not known. */
  readonly fromNs: bigint | null;
  readonly toNs: bigint | null;
}

/** Two losses of one device as one. */
export function joinLosses(a: DeviceLoss, b: DeviceLoss): DeviceLoss {
  const fromNs = a.fromNs === null || b.fromNs === null ? null : a.fromNs < b.fromNs ? a.fromNs : b.fromNs;
  const toNs = a.toNs === null || b.toNs === null ? null : a.toNs > b.toNs ? a.toNs : b.toNs;
  return { gaps: a.gaps + b.gaps, fromNs, toNs };
}

type GapListener = (device: string, loss: DeviceLoss) => void;

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

  /** `status` has the times of the newest gap: of several, when the first of them began is not known. */
  #loss(device: string, gaps: bigint): DeviceLoss {
    const { gapFromNs = 0n, gapToNs = 0n } = this.#status.get(device)?.status ?? {};
    return { gaps, fromNs: gaps > 1n || gapFromNs === 0n ? null : gapFromNs, toNs: gapToNs === 0n ? null : gapToNs };
  }

  #poll(): void {
    const before = this.#known;
    this.#known = this.#read();
    for (const [device, gaps] of this.#known) {
      const more = gaps - (before.get(device) ?? gaps);
      if (more > 0n) for (const listener of this.#listeners) listener(device, this.#loss(device, more));
    }
  }
}
