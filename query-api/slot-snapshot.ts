/**
 * A slot's leaves as bytes: for its snapshot on disk. Pure.
 *
 *   magic, version | block: head (`slot-head.ts`) | blocks of entries | last entry: how many there are
 *   block: length u32 | CRC-32C u32 | that many bytes            all numbers little-endian
 *   entry: 1 device (length, text) | 2 path (length, `origin:/path`) | 3 epoch (u64): each becomes the next number of its kind
 *          4 leaf with an inline value | 5 leaf with other bytes (length, bytes) | 6 tombstone: of the device named last
 *          7 end: leaves and tombstones (u32)
 *
 * SN1. What is written between two changes of the store may be older or newer than the place in the head, but nothing is
 *      older than that place: reading the log on from there makes it whole (L1 of store.ts).
 *      A slot that is cleared meanwhile has no snapshot: asking for the next block throws.
 * SN2. Nothing of a file is believed before all of it was checked: each block, the order, and that the end is there.
 */
import { crc32c } from '../core/kafka/crc32c.ts';
import { inlineKinds } from '../core/leaf-value.ts';
import { type PathId } from '../core/path-table.ts';
import { RecordMalformed } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafParts } from './leaf-copy.ts';
import { type LeafStore } from './leaf-store.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { decodeHead, encodeHead, type SlotHead } from './slot-head.ts';

const magic = Buffer.from('HFSTATE\x01', 'latin1');
/** About a millisecond's work. */
const blockBytes = 262_144;

const entryKinds = { device: 1, path: 2, epoch: 3, inline: 4, pooled: 5, tombstone: 6, end: 7 } as const;

export class SlotCleared extends Error {
  constructor() {
    super('the slot was cleared while its snapshot was written');
    this.name = 'SlotCleared';
  }
}

/** Blocks of the slot as it is when each is asked for (SN1). To be called when the place of the head is noted. */
export function encodeSlot(store: LeafStore, head: SlotHead): Generator<Buffer> {
  const clears = store.clearsOf(head.slot);
  return blocksOf(store, head, () => {
    if (store.clearsOf(head.slot) !== clears) throw new SlotCleared();
  });
}

function* blocksOf(store: LeafStore, head: SlotHead, requireSame: () => void): Generator<Buffer> {
  yield magic;
  yield block(encodeHead(head));
  const writer = new ByteWriter(blockBytes + 4_096);
  const paths = new Map<PathId, { readonly number: number; readonly generation: number }>();
  const epochs = new Map<bigint, number>();
  let pathCount = 0;
  let rows = 0;
  requireSame(); // SN1
  for (const device of store.devicesOf(head.slot)) {
    writer.u8(entryKinds.device);
    writer.text(device);
    for (const path of store.pathsOf(device)) {
      const parts = store.partsOf(device, path);
      if (parts === null) continue; // it went away meanwhile
      const generation = store.paths.generation(path);
      let known = paths.get(path);
      if (known?.generation !== generation) {
        known = { number: pathCount, generation };
        pathCount += 1;
        paths.set(path, known);
        writer.u8(entryKinds.path);
        writer.text(store.paths.key(path));
      }
      let epoch = epochs.get(parts.epoch);
      if (epoch === undefined) {
        epoch = epochs.size;
        epochs.set(parts.epoch, epoch);
        writer.u8(entryKinds.epoch);
        writer.u64(parts.epoch);
      }
      writeLeaf(writer, known.number, epoch, parts);
      rows += 1;
      if (writer.length < blockBytes) continue;
      yield block(writer.take());
      requireSame();
    }
  }
  writer.u8(entryKinds.end);
  writer.u32(rows);
  yield block(writer.take());
}

function block(bytes: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(8 + bytes.length);
  whole.writeUInt32LE(bytes.length, 0);
  whole.writeUInt32LE(crc32c(bytes), 4);
  bytes.copy(whole, 8);
  return whole;
}

function writeLeaf(writer: ByteWriter, path: number, epoch: number, parts: LeafParts): void {
  const isPooled = parts.kind === inlineKinds.none;
  writer.u8(parts.isDeleted ? entryKinds.tombstone : isPooled ? entryKinds.pooled : entryKinds.inline);
  writer.u32(path);
  writer.u32(epoch);
  writer.u32(parts.seqLow);
  writer.u32(parts.seqHigh);
  if (parts.isDeleted) return;
  writer.u32(parts.timeLow);
  writer.u32(parts.timeHigh);
  writer.u8((parts.sampled ? 1 : 0) | (parts.isTimeOfReceipt ? 2 : 0));
  writer.u8(parts.atomicDepth);
  if (isPooled) writer.latin1(parts.pooled);
  else {
    writer.u8(parts.kind);
    writer.u32(parts.valueLow);
    writer.u32(parts.valueHigh);
  }
}

/** A snapshot that was checked as bytes (SN2). */
export interface CheckedSnapshot {
  readonly head: SlotHead;
  readonly blocks: readonly Buffer[];
}

/** Throws RecordMalformed. */
export function checkSnapshot(bytes: Buffer): CheckedSnapshot {
  if (bytes.length < magic.length || !bytes.subarray(0, magic.length).equals(magic))
    throw new RecordMalformed('it is no snapshot of this version');
  const blocks: Buffer[] = [];
  for (let at = magic.length; at < bytes.length;) {
    const length = at + 8 <= bytes.length ? bytes.readUInt32LE(at) : Infinity;
    if (length > bytes.length - at - 8) throw new RecordMalformed(`it ends inside the block at ${at}`);
    const found = bytes.subarray(at + 8, at + 8 + length);
    if (crc32c(found) !== bytes.readUInt32LE(at + 4)) throw new RecordMalformed(`the block at ${at} is damaged`);
    blocks.push(found);
    at += 8 + length;
  }
  const [head, ...entries] = blocks;
  if (head === undefined || entries.length === 0) throw new RecordMalformed('it has no end');
  return { head: decodeHead(head), blocks: entries };
}

/**
 * Puts a snapshot's leaves into the store, a block at a time; the slot must be empty. Throws RecordMalformed, and leaves in
 * the slot what there was before the error.
 */
export function* restoreSlot(store: LeafStore, { head, blocks }: CheckedSnapshot): Generator<undefined> {
  const restoring = new Restoring(store, head.slot);
  for (const bytes of blocks) {
    restoring.block(bytes);
    yield undefined;
  }
  restoring.end();
}

class Restoring {
  readonly #store: LeafStore;
  readonly #slot: Slot;
  readonly #paths: PathId[] = [];
  readonly #epochs: bigint[] = [];
  #device = '';
  #rows = 0;
  #expected: number | null = null;

  constructor(store: LeafStore, slot: Slot) {
    this.#store = store;
    this.#slot = slot;
  }

  block(bytes: Buffer): void {
    const reader = new ByteReader(bytes);
    while (!reader.isAtEnd) {
      if (this.#expected !== null) throw new RecordMalformed('something follows the end');
      this.#entry(reader);
    }
  }

  end(): void {
    if (this.#expected !== this.#rows)
      throw new RecordMalformed(`it has ${this.#rows} leaves of ${this.#expected ?? 'an unknown number'}`);
  }

  #entry(reader: ByteReader): void {
    const kind = reader.u8();
    switch (kind) {
      case entryKinds.device:
        this.#device = reader.text();
        if (this.#device === '') throw new RecordMalformed('a device without a name');
        return;
      case entryKinds.path:
        this.#paths.push(this.#store.paths.intern(reader.text()));
        return;
      case entryKinds.epoch:
        this.#epochs.push(reader.u64());
        return;
      case entryKinds.inline:
      case entryKinds.pooled:
      case entryKinds.tombstone:
        this.#leaf(reader, kind);
        return;
      case entryKinds.end:
        this.#expected = reader.u32();
        return;
      default:
        throw new RecordMalformed(`an entry of kind ${kind}`);
    }
  }

  #leaf(reader: ByteReader, kind: number): void {
    const path = this.#paths[reader.u32()];
    const epoch = this.#epochs[reader.u32()];
    if (path === undefined || epoch === undefined || this.#device === '')
      throw new RecordMalformed('a leaf without path, epoch or device');
    const seqLow = reader.u32();
    const seqHigh = reader.u32();
    const isDeleted = kind === entryKinds.tombstone;
    const timeLow = isDeleted ? 0 : reader.u32();
    const timeHigh = isDeleted ? 0 : reader.u32();
    const flags = isDeleted ? 0 : reader.u8();
    const atomicDepth = isDeleted ? 0 : reader.u8();
    const pooled = kind === entryKinds.pooled ? reader.latin1() : '';
    const isInline = kind === entryKinds.inline;
    const parts: LeafParts = {
      isDeleted,
      epoch,
      seqLow,
      seqHigh,
      timeLow,
      timeHigh,
      isTimeOfReceipt: (flags & 2) !== 0,
      sampled: (flags & 1) !== 0,
      atomicDepth,
      kind: isInline ? inlineKindOf(reader.u8()) : inlineKinds.none,
      valueLow: isInline ? reader.u32() : 0,
      valueHigh: isInline ? reader.u32() : 0,
      pooled,
    };
    if (!this.#store.restore(this.#slot, this.#device, path, parts))
      throw new RecordMalformed('a leaf that is there twice');
    this.#rows += 1;
  }
}

function inlineKindOf(kind: number): LeafParts['kind'] {
  if (kind <= inlineKinds.none || kind > inlineKinds.double) throw new RecordMalformed(`a value of kind ${kind}`);
  return kind as LeafParts['kind'];
}
