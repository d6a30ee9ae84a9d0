/** One change of a leaf as streams keep it: what the record said, free of the fetch that brought it. Pure. */
import { type PathId, type PathTable } from '../core/path-table.ts';
import { type LeafContent } from '../schemas/leaf.ts';
import { type RecordHeader } from '../schemas/position.ts';
import { type PathElem } from '../schemas/path.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafChange } from './state-feed.ts';
import { type LeafView } from './store.ts';

export interface ChangeSource {
  readonly header: RecordHeader;
  readonly device: string;
  /** `origin:/path` */
  readonly key: string;
  /** null: deleted. */
  readonly leaf: LeafContent | null;
}

/** Throws RecordMalformed if the key is none. */
export function leafChange(
  paths: PathTable,
  slot: Slot,
  { header, device, key, leaf }: ChangeSource,
  isSameValue = false,
): LeafChange {
  const pathId = paths.intern(key);
  const { epoch, seq, receivedAtNs } = header;
  return {
    slot,
    device,
    key: paths.key(pathId),
    pathId,
    leaf: leaf === null ? null : new ChangedLeaf(paths, pathId, device, leaf, header),
    isSameValue,
    timestampNs: leaf === null ? receivedAtNs : leaf.timestampNs,
    epoch,
    seq,
  };
}

class ChangedLeaf implements LeafView {
  readonly device: string;
  readonly key: string;
  readonly origin: string;
  readonly timestampNs: bigint;
  readonly receivedAtNs: bigint;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly sampled: boolean;
  readonly atomicRoot: string;
  readonly #pathStart: number;
  readonly #paths: PathTable;
  readonly #pathId: PathId;
  /** One-byte characters: a slice of the fetch would keep all of it alive. */
  readonly #bytes: string;

  constructor(paths: PathTable, pathId: PathId, device: string, leaf: LeafContent, header: RecordHeader) {
    this.device = device;
    this.key = paths.key(pathId);
    this.origin = paths.origin(pathId);
    this.#pathStart = paths.pathStart(pathId);
    this.timestampNs = leaf.timestampNs;
    this.receivedAtNs = header.receivedAtNs;
    this.epoch = header.epoch;
    this.seq = header.seq;
    this.sampled = leaf.sampled;
    this.atomicRoot = leaf.atomicRoot;
    this.#paths = paths;
    this.#pathId = pathId;
    this.#bytes = leaf.value.toString('latin1');
  }

  get path(): string {
    return this.key.slice(this.#pathStart);
  }

  /** The change may be kept for longer than the table keeps the path. */
  get elems(): readonly PathElem[] {
    return this.#paths.elemsOf(this.#pathId, this.key);
  }

  get value(): Buffer {
    return Buffer.from(this.#bytes, 'latin1');
  }
}
