import { leafKey } from '../../schemas/topics.ts';
import { type SourceLeaf, type StateSource } from './state-source.ts';

/**
 * Follows what a client was sent of a `StateSource` and says what is wrong with it: each operation of an ON_CHANGE leaf
 * once and in order, each sampled one or counted in `coalesced`, and at the end what the source holds. Where the client was
 * cut off a merge may have been under way whose count it never got: the first value of a sampled leaf after that may skip.
 */
interface Seen {
  readonly leaf: SourceLeaf;
  /** Number of the operation seen last; 0: none. */
  last: number;
  isThere: boolean;
  /** Connections that had been cut when it was seen last. */
  cuts: number;
}

export interface SentLeaf {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly value: string;
  readonly coalesced?: number;
}

export class StreamAudit {
  updates = 0;
  deletes = 0;
  coalesced = 0;
  /** Sampled values that were merged in a connection that was cut before it could say so. */
  uncounted = 0;
  /** The first few, in words. */
  readonly wrong: string[] = [];
  readonly #seen = new Map<string, Seen>();
  #cuts = 0;

  constructor(source: StateSource) {
    for (const leaf of source.leaves.flat())
      this.#seen.set(leaf.key.toString(), { leaf, last: 0, isThere: false, cuts: 0 });
  }

  /** The connection was cut; what follows comes through another. */
  wasCut(): void {
    this.#cuts += 1;
  }

  /** A leaf of the walk before the first `synced`: where the count begins. */
  walked(sent: SentLeaf): void {
    const seen = this.#of(sent);
    if (seen === undefined) return;
    seen.last = Number(sent.value);
    seen.isThere = true;
  }

  updated(sent: SentLeaf): void {
    const seen = this.#of(sent);
    if (seen === undefined) return;
    this.updates += 1;
    const number = Number(sent.value);
    const merged = sent.coalesced ?? 0;
    this.coalesced += merged;
    if (merged > 0 && !seen.leaf.sampled) this.#say(`${seen.leaf.path} of ${sent.device} is on-change and was merged`);
    const skipped = number - seen.last - 1 - merged;
    if (skipped > 0 && seen.leaf.sampled && seen.cuts < this.#cuts) this.uncounted += skipped;
    else if (skipped !== 0) this.#say(`${sent.device} ${sent.path}: ${number} (+${merged}) after ${seen.last}`);
    seen.cuts = this.#cuts;
    seen.last = number;
    seen.isThere = true;
  }

  deleted(sent: Pick<SentLeaf, 'device' | 'origin' | 'path'>): void {
    const seen = this.#of(sent);
    if (seen === undefined) return;
    this.deletes += 1;
    if (!seen.leaf.deletes.has(seen.last + 1)) this.#say(`${sent.device} ${sent.path}: no delete after ${seen.last}`);
    seen.last += 1;
    seen.isThere = false;
  }

  /** What the client holds against what the source holds. */
  differences(): string[] {
    const found: string[] = [];
    for (const { leaf, last, isThere } of this.#seen.values()) {
      if (last !== leaf.operations || isThere !== leaf.isThere)
        found.push(
          `${leaf.device} ${leaf.path}: at ${last} ${isThere}, the source at ${leaf.operations} ${leaf.isThere}`,
        );
    }
    return found;
  }

  #of({ device, origin, path }: Pick<SentLeaf, 'device' | 'origin' | 'path'>): Seen | undefined {
    const seen = this.#seen.get(leafKey(device, origin, path));
    if (seen === undefined) this.#say(`${device} ${path} is no leaf of the source`);
    return seen;
  }

  #say(what: string): void {
    if (this.wrong.length < 20) this.wrong.push(what);
  }
}
