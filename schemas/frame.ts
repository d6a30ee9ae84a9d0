/**
 * Confluent framing of Protobuf record values: byte 0x00, schema id (int32 big-endian), message index list, message.
 *
 * F1. Every record type is the first message of its .proto file, so the index list is always `[0]`, written as one byte
 *     0x00, and the prefix is always 6 bytes.
 * F2. Readers also take the long spelling `02 00` of the same list; any other list is refused by name.
 */
import { RecordMalformed } from './position.ts';

export const framePrefixLength = 6;
const magic = 0x00;

export interface Frame {
  readonly schemaId: number;
  /** A view into the bytes that were decoded. */
  readonly message: Buffer;
}

/** The 6 bytes before a message of this schema (F1); made once and reused. */
export function framePrefix(schemaId: number): Buffer {
  const prefix = Buffer.alloc(framePrefixLength);
  prefix.writeUInt8(magic, 0);
  prefix.writeInt32BE(schemaId, 1);
  return prefix;
}

export function encodeFrame(schemaId: number, message: Buffer): Buffer {
  return Buffer.concat([framePrefix(schemaId), message]);
}

/** Throws RecordMalformed. */
export function decodeFrame(bytes: Buffer): Frame {
  if (bytes.length < framePrefixLength) throw new RecordMalformed(`value of ${bytes.length} bytes has no frame`);
  if (bytes[0] !== magic)
    throw new RecordMalformed(`value starts with byte ${bytes[0] ?? 0}, not with a Confluent frame`);
  const schemaId = bytes.readInt32BE(1);
  if (bytes[5] === 0) return { schemaId, message: bytes.subarray(6) };
  if (bytes[5] === 2 && bytes[6] === 0) return { schemaId, message: bytes.subarray(7) }; // F2
  throw new RecordMalformed(`message index list ${describeIndexes(bytes)} of schema ${schemaId} is not [0]`);
}

/** The index list as people write it, e.g. `[1]`; only for messages. */
function describeIndexes(bytes: Buffer): string {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  // 64 bytes of list are more than any file nests; the rest is the message's.
  for (const byte of bytes.subarray(5, 69)) {
    value += (byte & 0x7f) * 2 ** shift;
    shift += 7;
    if (byte >= 0x80) continue;
    numbers.push(value % 2 === 0 ? value / 2 : -(value + 1) / 2);
    if (numbers.length > (numbers[0] ?? 0)) break;
    value = 0;
    shift = 0;
  }
  return `[${numbers.slice(1).join(', ')}]`;
}
