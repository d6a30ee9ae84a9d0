import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { formatElems } from '../schemas/path.ts';
import { type Place } from './explode.ts';

/**
 * D7: the times of one device's deletes, so that an update that was overtaken by a newer delete stays away. One entry
 * per deleted path, not per leaf; the newest time of a path subsumes its older ones. An entry ends `windowNs` after it was
 * received, by the receive times in the log and not by a clock, so that reading the log again decides the same way.
 * Bounded: the oldest entry goes first, and `note` says so.
 */
interface DeleteTime {
  readonly pattern: PathPattern;
  readonly deleteNs: bigint;
  readonly receivedAtNs: bigint;
  /** Where in `telemetry` it was said: the next holder of the slot must start there or before. */
  readonly offset: bigint;
  /** A9: only updates of this Subscribe RPC are held back; 0: those of any. */
  readonly rpc: number;
}

export interface DeleteWindowOptions {
  readonly windowNs: bigint;
  readonly entriesMax: number;
}

export class DeleteWindow {
  readonly #options: DeleteWindowOptions;
  /** By path text, the most recently said last. */
  readonly #entries = new Map<string, DeleteTime>();
  /** No update at or above this time is held back: the test that nearly all updates end with. */
  #newestNs: bigint | null = null;

  constructor(options: DeleteWindowOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Notes a delete; returns how many entries the bound pushed out. */
  note(place: Place, at: Omit<DeleteTime, 'pattern'>): number {
    const { origin, elems } = place;
    const text = `${at.rpc} ${origin}:${formatElems(elems)}`;
    const known = this.#entries.get(text);
    if (known !== undefined && known.deleteNs > at.deleteNs) return 0; // it came late itself
    this.#entries.delete(text);
    this.#entries.set(text, { pattern: known?.pattern ?? compilePattern({ origin, target: '', elems }), ...at });
    if (this.#newestNs === null || at.deleteNs > this.#newestNs) this.#newestNs = at.deleteNs;
    if (this.#entries.size <= this.#options.entriesMax) return 0;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
    return 1;
  }

  /** True if a delete newer than `updateNs` covers the path: the update was overtaken. */
  refuses(
    { origin, elems }: Place,
    updateNs: bigint,
    { receivedAtNs, rpc }: { readonly receivedAtNs: bigint; readonly rpc: number },
  ): boolean {
    if (this.#newestNs === null || updateNs >= this.#newestNs) return false;
    const fromNs = receivedAtNs - this.#options.windowNs;
    for (const entry of this.#entries.values()) {
      if (entry.deleteNs <= updateNs || entry.receivedAtNs < fromNs) continue;
      if (entry.rpc !== 0 && entry.rpc !== rpc) continue;
      if (entry.pattern.origin === origin && entry.pattern.matches(elems)) return true;
    }
    return false;
  }

  /** Forgets what is older than the window; returns the offset of the oldest entry that still counts. */
  expire(receivedAtNs: bigint): bigint | null {
    const fromNs = receivedAtNs - this.#options.windowNs;
    let oldest: bigint | null = null;
    let newestNs: bigint | null = null;
    for (const [text, entry] of this.#entries) {
      if (entry.receivedAtNs < fromNs) {
        this.#entries.delete(text);
        continue;
      }
      if (oldest === null || entry.offset < oldest) oldest = entry.offset;
      if (newestNs === null || entry.deleteNs > newestNs) newestNs = entry.deleteNs;
    }
    this.#newestNs = newestNs;
    return oldest;
  }
}
