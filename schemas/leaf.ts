/**
 * Leaf records: one leaf of one device, in `state`. Read and written once per change, so the codec is written out by
 * hand; a test holds it against the .proto file.
 */
import { RecordMalformed } from './position.ts';
import { type RecordCodec } from './record-codec.ts';
import { MessageMalformed, WireReader, wireBytes, wireVarint } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

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

export const leafCodec: RecordCodec<Leaf> = {
  message: 'holdfast.v1.Leaf',
  encode: encodeLeaf,
  decode(bytes) {
    try {
      return decodeLeaf(bytes);
    } catch (thrown) {
      if (!(thrown instanceof MessageMalformed)) throw thrown;
      throw new RecordMalformed(`holdfast.v1.Leaf: ${thrown.message}`, { cause: thrown });
    }
  },
};

function encodeLeaf(leaf: Leaf): Buffer {
  const writer = new WireWriter(leaf.device.length + leaf.path.length + leaf.value.length + 64);
  if (leaf.device !== '') writer.stringField(1, leaf.device);
  if (leaf.origin !== '') writer.stringField(2, leaf.origin);
  if (leaf.path !== '') writer.stringField(3, leaf.path);
  writer.bytesField(4, leaf.value);
  if (leaf.timestampNs !== 0n) writer.uint64Field(5, leaf.timestampNs);
  if (leaf.atomicRoot !== '') writer.stringField(6, leaf.atomicRoot);
  if (leaf.sampled) writer.boolField(7, true);
  return writer.finish();
}

const noValue: Buffer = Buffer.alloc(0);

function decodeLeaf(bytes: Buffer): Leaf {
  const reader = new WireReader(bytes);
  let device = '';
  let origin = '';
  let path = '';
  let value = noValue;
  let timestampNs = 0n;
  let atomicRoot = '';
  let sampled = false;
  while (reader.next()) {
    const { field, wire } = reader;
    if (wire === wireBytes && field === 1) device = reader.string();
    else if (wire === wireBytes && field === 2) origin = reader.string();
    else if (wire === wireBytes && field === 3) path = reader.string();
    else if (wire === wireBytes && field === 4) value = reader.buffer();
    else if (wire === wireVarint && field === 5) timestampNs = reader.int64();
    else if (wire === wireBytes && field === 6) atomicRoot = reader.string();
    else if (wire === wireVarint && field === 7) sampled = reader.bool();
    else reader.skip();
  }
  return { device, origin, path, value, timestampNs, atomicRoot, sampled };
}
