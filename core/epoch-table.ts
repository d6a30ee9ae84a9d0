/** Epochs as small integers, counted: the leaves of a slot share a few. */
import { grownU32 } from './growing-column.ts';

export type EpochId = number;

export class EpochTable {
  readonly #ids = new Map<bigint, EpochId>();
  readonly #epochs: bigint[] = [];
  readonly #free: EpochId[] = [];
  #uses = new Uint32Array(64);
  /** A batch is of one slot, so the next epoch is mostly the last one. */
  #last: EpochId = 0;

  /** Epochs that are in use. */
  get size(): number {
    return this.#ids.size;
  }

  /** One use more. Hot. */
  take(epoch: bigint): EpochId {
    const id = this.#epochs[this.#last] === epoch && (this.#uses[this.#last] ?? 0) > 0 ? this.#last : this.#find(epoch);
    this.#uses[id] = (this.#uses[id] ?? 0) + 1;
    this.#last = id;
    return id;
  }

  #find(epoch: bigint): EpochId {
    const known = this.#ids.get(epoch);
    if (known !== undefined) return known;
    const id = this.#free.pop() ?? this.#epochs.length;
    if (id >= this.#uses.length) this.#uses = grownU32(this.#uses, id + 1);
    this.#epochs[id] = epoch;
    this.#uses[id] = 0;
    this.#ids.set(epoch, id);
    return id;
  }

  epoch(id: EpochId): bigint {
    return this.#epochs[id] ?? 0n;
  }

  release(id: EpochId): void {
    const uses = (this.#uses[id] ?? 0) - 1;
    this.#uses[id] = uses;
    if (uses > 0) return;
    this.#ids.delete(this.epoch(id));
    this.#free.push(id);
  }
}
