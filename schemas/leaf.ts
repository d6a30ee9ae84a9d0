/**
 * Leaf records: one leaf of one device, in `state`. Read and written once per change, so the codec is written out by
 * hand; a test holds it against the .proto file.
 */
import { type Init, type MessageType } from './message-codec.ts';
import {
  type Reader,
  type Writer,
  readBool,
  readBytes,
  readInt64,
  readTag,
  readText,
  writeInt64,
  writeText,
} from './message-wire.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';
import { wireBytes, wireVarint } from './wire-reader.ts';

export interface Leaf {
  readonly device: string;
  /** Normalised: never empty. */
  readonly origin: string;
  /** `/a/b[k=v]` */
  readonly path: string;
  /** The encoded gnmi.TypedValue, as the device sent it; after decoding a view into the record's bytes. */
  readonly value: Buffer;
  /** The device's clock. */
  readonly timestampNs: bigint;
  /** Path of the atomic container the leaf came in and is still under the guarantee of; empty: none. */
  readonly atomicRoot: string;
  /** From a SAMPLE subscription: readers that fall behind may merge its values; all other leaves never. */
  readonly sampled: boolean;
}

/** Field number and wire type, as they stand before a field. */
const tags = {
  device: (1 << 3) | wireBytes,
  origin: (2 << 3) | wireBytes,
  path: (3 << 3) | wireBytes,
  value: (4 << 3) | wireBytes,
  timestampNs: (5 << 3) | wireVarint,
  atomicRoot: (6 << 3) | wireBytes,
  sampled: (7 << 3) | wireVarint,
} as const;

const noValue: Buffer = Buffer.alloc(0);

const leafType: MessageType<Leaf> = { write: writeLeaf, read: readLeaf };

export const leafCodec: RecordCodec<Leaf> = recordCodec('holdfast.v1.Leaf', leafType);

/** A leaf without its names, for who has them from the key of the record. */
export type LeafContent = Omit<Leaf, 'device' | 'origin' | 'path'>;

/** Reads all fields but the names: their strings are half of what decoding a leaf costs. */
export const leafContentCodec: Pick<RecordCodec<LeafContent>, 'decode'> = recordCodec('holdfast.v1.Leaf', {
  write: writeLeaf,
  read: readLeafContent,
});

function writeLeaf(writer: Writer, leaf: Init<Leaf>): void {
  if (leaf.device) writeText(writer.uint32(tags.device), leaf.device);
  if (leaf.origin) writeText(writer.uint32(tags.origin), leaf.origin);
  if (leaf.path) writeText(writer.uint32(tags.path), leaf.path);
  writer.uint32(tags.value).bytes(leaf.value ?? noValue);
  if (leaf.timestampNs) writeInt64(writer.uint32(tags.timestampNs), leaf.timestampNs);
  if (leaf.atomicRoot) writeText(writer.uint32(tags.atomicRoot), leaf.atomicRoot);
  if (leaf.sampled) writer.uint32(tags.sampled).bool(true);
}

function readLeaf(reader: Reader): Leaf {
  let device = '';
  let origin = '';
  let path = '';
  let value = noValue;
  let timestampNs = 0n;
  let atomicRoot = '';
  let sampled = false;
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    if (tag === tags.device) device = readText(reader);
    else if (tag === tags.origin) origin = readText(reader);
    else if (tag === tags.path) path = readText(reader);
    else if (tag === tags.value) value = readBytes(reader);
    else if (tag === tags.timestampNs) timestampNs = readInt64(reader);
    else if (tag === tags.atomicRoot) atomicRoot = readText(reader);
    else if (tag === tags.sampled) sampled = readBool(reader);
    else reader.skipType(tag & 7);
  }
  return { device, origin, path, value, timestampNs, atomicRoot, sampled };
}

function readLeafContent(reader: Reader): LeafContent {
  let value = noValue;
  let timestampNs = 0n;
  let atomicRoot = '';
  let sampled = false;
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    if (tag === tags.value) value = readBytes(reader);
    else if (tag === tags.timestampNs) timestampNs = readInt64(reader);
    else if (tag === tags.atomicRoot) atomicRoot = readText(reader);
    else if (tag === tags.sampled) sampled = readBool(reader);
    else reader.skipType(tag & 7);
  }
  return { value, timestampNs, atomicRoot, sampled };
}
