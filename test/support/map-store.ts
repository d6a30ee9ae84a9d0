/**
 * The slow, obvious store: a model of `query-api/leaf-store.ts`, of which everything is kept as it came. L1 to L3 are those of
 * `query-api/store.ts`.
 */
import { type PathPattern } from '../../schemas/path-pattern.ts';
import { formatElems, parsePath } from '../../schemas/path.ts';
import { type Slot } from '../../schemas/slot.ts';
import { parseLeafKey } from '../../schemas/topics.ts';
import { type Applied, type LeafRecord, type RecordPosition } from '../../query-api/store.ts';

export interface ModelLeaf {
  readonly device: string;
  readonly key: string;
  readonly value: string;
  readonly timestampNs: bigint;
  readonly receivedAtNs: bigint;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly sampled: boolean;
  readonly atomicRoot: string;
}

interface ModelDevice {
  readonly slot: Slot;
  readonly leaves: Map<string, ModelLeaf>;
  readonly tombstones: Map<string, { epoch: bigint; seq: bigint; sweep: number }>;
}

export class MapStore {
  readonly #devices = new Map<string, ModelDevice>();
  #sweep = 0;

  get size(): number {
    let size = 0;
    for (const { leaves } of this.#devices.values()) size += leaves.size;
    return size;
  }

  devices(): string[] {
    return [...this.#devices].filter(([, { leaves }]) => leaves.size > 0).map(([device]) => device);
  }

  find(device: string, patterns: readonly PathPattern[]): ModelLeaf[] {
    const leaves = [...(this.#devices.get(device)?.leaves.values() ?? [])];
    return leaves
      .filter((leaf) => {
        const { origin, path } = parseLeafKey(`${device}|${leaf.key}`);
        const { elems } = parsePath(path);
        return patterns.some((pattern) => pattern.origin === origin && pattern.matches(elems));
      })
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  apply(slot: Slot, device: string, key: string, record: LeafRecord | null, at: RecordPosition): Applied {
    let of = this.#devices.get(device);
    if (of === undefined) {
      of = { slot, leaves: new Map(), tombstones: new Map() };
      this.#devices.set(device, of);
    }
    const stored = of.leaves.get(key);
    const held = stored ?? of.tombstones.get(key);
    if (held !== undefined && (at.epoch < held.epoch || (at.epoch === held.epoch && at.seq < held.seq)))
      return 'superseded'; // L1
    const isSame = held?.epoch === at.epoch && held.seq === at.seq;
    if (record === null) {
      if (isSame && stored === undefined) return 'repeated';
      of.tombstones.set(key, { epoch: at.epoch, seq: at.seq, sweep: this.#sweep }); // L2
      return of.leaves.delete(key) ? 'deleted' : 'repeated';
    }
    const leaf = modelLeaf(device, key, record, at);
    const isKnown = isSame && stored !== undefined && JSON.stringify(stored, big) === JSON.stringify(leaf, big);
    of.leaves.set(key, leaf);
    of.tombstones.delete(key);
    const isSameValue = stored?.value === leaf.value && stored.atomicRoot === '' && leaf.atomicRoot === '';
    return isKnown ? 'repeated' : isSameValue ? 'refreshed' : 'stored';
  }

  clearSlot(slot: Slot): void {
    for (const [device, of] of this.#devices) if (of.slot === slot) this.#devices.delete(device);
  }

  sweepTombstones(): void {
    this.#sweep += 1;
    for (const { tombstones } of this.#devices.values()) {
      for (const [key, { sweep }] of tombstones) if (sweep < this.#sweep - 1) tombstones.delete(key); // L2
    }
  }
}

const big = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);

function modelLeaf(device: string, key: string, record: LeafRecord, at: RecordPosition): ModelLeaf {
  const { timestampNs, sampled } = record;
  return {
    device,
    key,
    value: record.value.toString('hex'),
    timestampNs,
    receivedAtNs: timestampNs === 0n ? at.receivedAtNs : 0n,
    epoch: at.epoch,
    seq: at.seq,
    sampled,
    atomicRoot: rootOf(key, record.atomicRoot),
  };
}

/** Roots are kept that are a beginning of the leaf's path, of at most 254 elements. */
function rootOf(key: string, root: string): string {
  const { elems } = parsePath(parseLeafKey(`d|${key}`).path);
  const isBeginning = elems.slice(0, 255).some((_, count) => formatElems(elems.slice(0, count)) === root);
  const isAll = elems.length < 255 && formatElems(elems) === root;
  return isBeginning || isAll ? root : '';
}
