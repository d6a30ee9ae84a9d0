import { type Path } from '../schemas/path.ts';
import { compilePattern } from '../schemas/path-pattern.ts';
import { type TypedValue } from '../schemas/value.ts';
import { counterValue, type DeviceIdentity } from './leaf-value.ts';
import { addedLeaf, type LeafShape, type Model } from './model.ts';

/**
 * The leaves of one device: which are there, how often each changed, when, and in which tick. Values are computed, so a
 * device of 200 leaves costs a few kilobytes. Every change goes through here and comes back as a `Change`, which is what
 * subscribers are sent.
 *
 * T1. `sequence` grows by one with every change, and the sequence leaf changes with it.
 * T2. Timestamps of a device grow strictly, except where its clock is stepped: a delete must be younger than its leaf.
 */
export interface Change {
  readonly sequence: number;
  readonly timestampNs: bigint;
  /** Leaf indexes in the order to send them; the sequence leaf first. Empty where a container is sent. */
  readonly updated: readonly number[];
  readonly deleted: readonly DeletedSubtree[];
}

export interface DeletedSubtree {
  readonly path: Path;
  /** The leaves it took away. */
  readonly leaves: readonly number[];
}

/** A new generation of an atomic container. */
export interface ContainerChange {
  readonly container: number;
  readonly timestampNs: bigint;
}

export interface LeafState {
  readonly value: TypedValue;
  readonly timestampNs: bigint;
  /** The sequence number the device was at when the leaf changed last. */
  readonly sequence: bigint;
}

const calmEvery = 25; // ticks between changes of leaves that change rarely

export class DeviceTree {
  readonly identity: DeviceIdentity;
  readonly model: Model;
  readonly #added: LeafShape[] = [];
  readonly #pinned = new Map<number, TypedValue>();
  readonly #removedContainers = new Set<number>();
  readonly #nowNs: () => bigint;
  #present: Uint8Array;
  #versions: Uint32Array;
  #sequences: Float64Array;
  #timestamps: BigInt64Array;
  #sequence = 0;
  #lastTimestampNs = 0n;
  #clockOffsetNs = 0n;
  #busyAt = 0;
  #calmAt = 0;

  constructor(identity: DeviceIdentity, model: Model, nowNs: () => bigint) {
    this.identity = identity;
    this.model = model;
    this.#nowNs = nowNs;
    const count = model.leaves.length;
    this.#present = new Uint8Array(count).fill(1);
    this.#versions = new Uint32Array(count);
    this.#sequences = new Float64Array(count);
    this.#timestamps = new BigInt64Array(count).fill(this.#stamp());
  }

  get sequence(): number {
    return this.#sequence;
  }

  get leafCount(): number {
    return this.#present.length;
  }

  shape(index: number): LeafShape {
    const shape = this.model.leaves[index] ?? this.#added[index - this.model.leaves.length];
    if (shape === undefined) throw new RangeError(`no leaf ${index}`);
    return shape;
  }

  has(index: number): boolean {
    return this.#present[index] === 1;
  }

  version(index: number): number {
    return this.#versions[index] ?? 0;
  }

  timestampNs(index: number): bigint {
    return this.#timestamps[index] ?? 0n;
  }

  pinned(index: number): boolean {
    return this.#pinned.has(index);
  }

  isPlainJson(index: number): boolean {
    const pinned = this.#pinned.get(index);
    return pinned === undefined ? this.shape(index).plainJson : pinned.kind === 'json';
  }

  value(index: number): TypedValue {
    const pinned = this.#pinned.get(index);
    if (pinned !== undefined) return pinned;
    if (index === 0) return { kind: 'uint', value: BigInt(this.#sequence) };
    const shape = this.shape(index);
    const version = this.version(index);
    if (shape.counter === null) return shape.value(this.identity, shape.hash, version);
    return { kind: 'uint', value: counterValue(this.identity.hash, shape.hash, version, shape.counter === 'big') };
  }

  state(index: number): LeafState {
    return {
      value: this.value(index),
      timestampNs: this.timestampNs(index),
      sequence: BigInt(this.#sequences[index] ?? 0),
    };
  }

  /** The device's own clock, with what a fault added to it; never the same twice (T2). */
  stampNs(): bigint {
    return this.#stamp();
  }

  stepClock(byNs: bigint): void {
    this.#clockOffsetNs += byNs;
    this.#lastTimestampNs = 0n;
  }

  /** The next tick: `updates` leaves including the sequence, taken in turn; now and then one that changes rarely. */
  advance(updates: number): Change {
    const updated = this.#begin();
    const { busy, calm } = this.model;
    if (this.#sequence % calmEvery === 0 && updates > 1) {
      const next = calm[this.#calmAt++ % calm.length];
      if (next !== undefined && this.#changes(next)) updated.push(next);
    }
    for (let tried = 0; updated.length < updates && tried < busy.length; tried += 1) {
      const next = busy[this.#busyAt];
      this.#busyAt = (this.#busyAt + 1) % busy.length;
      if (next !== undefined && this.#changes(next)) updated.push(next);
    }
    return this.#commit(updated, []);
  }

  /** A container's next generation, at the sequence of the last change; its optional leaf comes and goes. */
  advanceContainer(index: number): ContainerChange | null {
    const container = this.model.containers[index];
    if (container === undefined || this.#removedContainers.has(index)) return null;
    const timestampNs = this.#stamp();
    for (const leaf of container.leaves) {
      this.#touch(leaf, timestampNs);
      this.#present[leaf] = leaf === container.optionalLeaf && this.version(leaf) % 2 === 1 ? 0 : 1;
    }
    return { container: index, timestampNs };
  }

  /** Takes away every leaf under `path`, wildcards included; null if there is none. */
  remove(path: Path): Change | null {
    const pattern = compilePattern(path);
    const leaves: number[] = [];
    for (let index = 1; index < this.leafCount; index += 1) {
      if (this.has(index) && this.#under(pattern, index)) leaves.push(index);
    }
    if (leaves.length === 0) return null;
    for (const leaf of leaves) this.#present[leaf] = 0;
    for (const container of this.model.containers) {
      if (container.leaves.every((leaf) => !this.has(leaf))) this.#removedContainers.add(container.index);
    }
    return this.#commit(this.#begin(), [{ path: { ...path, target: '' }, leaves }]);
  }

  /**
   * Brings removed leaves under `path` back, with a new value, and lets pinned ones change again; a container comes back
   * with its next generation.
   */
  restore(path: Path): Change | null {
    const pattern = compilePattern(path);
    for (const container of this.model.containers) {
      if (pattern.matches(container.path.elems)) this.#removedContainers.delete(container.index);
    }
    const updated = this.#begin();
    // Added leaves stay as they are: they have no value of their own to go back to.
    for (let index = 1; index < this.model.leaves.length; index += 1) {
      if (!this.#under(pattern, index) || this.shape(index).container !== -1) continue;
      const returns = !this.has(index);
      if (!this.#pinned.delete(index) && !returns) continue;
      this.#present[index] = 1;
      updated.push(index);
    }
    if (updated.length === 1) {
      this.#sequence -= 1;
      return null;
    }
    return this.#commit(updated, []);
  }

  /** Gives one leaf a value that stays until it is restored; adds the leaf if the device has none there. */
  pin(path: Path, value: TypedValue): Change {
    const index = this.#indexOf(path) ?? this.#add(path);
    this.#pinned.set(index, value);
    this.#present[index] = 1;
    const updated = this.#begin();
    updated.push(index);
    return this.#commit(updated, []);
  }

  #begin(): number[] {
    this.#sequence += 1; // T1
    return [0];
  }

  #commit(updated: readonly number[], deleted: readonly DeletedSubtree[]): Change {
    const timestampNs = this.#stamp();
    for (const index of updated) this.#touch(index, timestampNs);
    return { sequence: this.#sequence, timestampNs, updated, deleted };
  }

  #touch(index: number, timestampNs: bigint): void {
    this.#versions[index] = this.version(index) + 1;
    this.#sequences[index] = this.#sequence;
    this.#timestamps[index] = timestampNs;
  }

  #stamp(): bigint {
    const nowNs = this.#nowNs() + this.#clockOffsetNs;
    this.#lastTimestampNs = nowNs > this.#lastTimestampNs ? nowNs : this.#lastTimestampNs + 1n; // T2
    return this.#lastTimestampNs;
  }

  #changes(index: number): boolean {
    return this.has(index) && !this.#pinned.has(index);
  }

  #under(pattern: ReturnType<typeof compilePattern>, index: number): boolean {
    const { path } = this.shape(index);
    return pattern.origin === path.origin && pattern.matches(path.elems);
  }

  #indexOf(path: Path): number | undefined {
    const pattern = compilePattern(path);
    for (let index = 1; index < this.leafCount; index += 1) {
      if (this.shape(index).path.elems.length === path.elems.length && this.#under(pattern, index)) return index;
    }
    return undefined;
  }

  #add(path: Path): number {
    const index = this.leafCount;
    this.#added.push(addedLeaf(index, { ...path, origin: 'openconfig', target: '' }));
    this.#present = grown(this.#present, new Uint8Array(index + 1));
    this.#versions = grown(this.#versions, new Uint32Array(index + 1));
    this.#sequences = grown(this.#sequences, new Float64Array(index + 1));
    const timestamps = new BigInt64Array(index + 1);
    timestamps.set(this.#timestamps);
    this.#timestamps = timestamps;
    return index;
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
