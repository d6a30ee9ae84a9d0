import { leafKey } from '../../schemas/topics.ts';
import { type SourceLeaf, type StateSource } from './state-source.ts';

/**
 * Follows what a client was sent of a `StateSource` and says what is wrong with it: each operation of an ON_CHANGE leaf
 * once and in order, each sampled one or counted in `coalesced`, and at the end what the source holds.
 */
interface Seen {
  readonly leaf: SourceLeaf;
  /** Number of the operation seen last; 0: none. */
  last: number;
  isThere: boolean;
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
  /** The first few, in words. */
  readonly wrong: string[] = [];
  readonly #seen = new Map<string, Seen>();

  constructor(source: StateSource) {
    for (const leaf of source.leaves.flat()) this.#seen.set(leaf.key.toString(), { leaf, last: 0, isThere: false });
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
    if (number !== seen.last + 1 + merged)
      this.#say(`${sent.device} ${sent.path}: ${number} (+${merged}) after ${seen.last}`);
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
