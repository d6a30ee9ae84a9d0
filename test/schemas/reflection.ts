/** The .proto files as protobufjs understands them: the independent reading that our own codecs are held against. */
import protobuf from 'protobufjs';
import { protoTexts } from '../../schemas/proto-texts.ts';

let root: protobuf.Root | undefined;

export function protoRoot(): protobuf.Root {
  if (root !== undefined) return root;
  root = new protobuf.Root();
  for (const file of ['any', 'duration']) {
    root.addJSON(protobuf.common.get(`google/protobuf/${file}.proto`)!.nested!);
  }
  for (const text of Object.values(protoTexts)) protobuf.parse(text, root);
  root.resolveAll();
  return root;
}

export function protoType(name: string): protobuf.Type {
  return protoRoot().lookupType(name);
}

/** Decoded and encoded again by protobufjs, which drops whatever it does not know. */
export function throughProtobufjs(name: string, bytes: Buffer): Buffer {
  const type = protoType(name);
  return Buffer.from(type.encode(type.decode(bytes)).finish());
}

/** Names of enums as ours spell them, by property: protobufjs gives numbers. */
export type EnumNames = Readonly<Record<string, readonly string[]>>;

/** A value as plain sorted data: every integer a string, so that bigint, number and Long compare. */
export function plain(value: unknown, enums: EnumNames = {}, key = ''): unknown {
  const names = Object.hasOwn(enums, key) ? enums[key] : undefined;
  if (names !== undefined && typeof value === 'string') return String(names.indexOf(value));
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return plain(Object.fromEntries(value as Map<string, unknown>));
  if (Array.isArray(value)) return value.map((item) => plain(item, enums, key));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, plain(item, enums, name)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What protobufjs reads from `bytes`, with all defaults, in the form of `plain`. */
export function readByProtobufjs(name: string, bytes: Buffer): unknown {
  const type = protoType(name);
  const read = type.toObject(type.decode(bytes), { longs: String, arrays: true, objects: true, defaults: true });
  return plain(withoutNull(read));
}

/** protobufjs writes null for a message that is absent. */
function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNull);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const present = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(present.map(([name, item]) => [name, withoutNull(item)]));
}
