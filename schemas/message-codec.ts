/**
 * Protobuf messages described once, as a table of fields beside their interface; encoding, decoding and defaults follow
 * from it, over protobufjs' Reader and Writer. `proto/` is the published truth; tests hold both against each other.
 *
 * C1. A table has a line for every property of the interface: a forgotten field does not compile.
 * C2. Integers of 64 bits are bigint, or a number where the table says `ms`: exact below 2^53.
 * C3. proto3 rules: defaults are not written, unknown fields are skipped, of a oneof the last on the wire counts, a
 *     message that comes twice is merged. A known field with a foreign wire type counts as unknown.
 */
import {
  type Reader,
  type Writer,
  enter,
  finish,
  leave,
  malformed,
  newReader,
  newWriter,
  readBool,
  readBytes,
  readInt64,
  readTag,
  readText,
  readUint32,
  readUint64,
  writeInt64,
  writeTag,
  writeText,
} from './message-wire.ts';
import { MessageMalformed, wireBytes, wireVarint } from './wire-reader.ts';

/** What an encoder takes: everything may be left out, at every level. */
export type Init<T> = T extends string | number | bigint | boolean | Uint8Array | ReadonlyMap<string, unknown>
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : { readonly [K in keyof T]?: Init<T[K]> | undefined };

export interface Codec<T> {
  encode(value: Init<T>): Buffer;
  /** Throws MessageMalformed. Bytes fields are views into `bytes`. */
  decode(bytes: Buffer): T;
}

export interface Field<V> {
  readonly number: number;
  /** Members of one oneof share its name; a member that is not set is absent. */
  readonly oneof?: string;
  /** The value of a message that does not hold the field; undefined: the property is absent. */
  initial(): V | undefined;
  write(writer: Writer, value: Init<V>): void;
  /** Undefined, and nothing read: the wire type is not this field's. */
  read(reader: Reader, wire: number, current: V | undefined): V | undefined;
}

export type Fields<T> = { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> };

type AnyField = Field<unknown> & { readonly name: string };

/** How a message type is written into and read from the middle of another. */
export interface MessageType<T> {
  write(writer: Writer, value: Init<T>): void;
  /** Reads to the reader's end; `into` is an earlier part of the same message (C3). */
  read(reader: Reader, into?: T): T;
}

export function messageType<T extends object>(fields: Fields<T>): MessageType<T> {
  const table = Object.entries(fields).map(([name, field]) => ({ ...(field as Field<unknown>), name }));
  const byNumber: (AnyField | undefined)[] = [];
  for (const field of table) byNumber[field.number] = field;
  return {
    write(writer, value) {
      const given = value as Readonly<Record<string, unknown>>;
      for (const field of table) {
        const member = given[field.name];
        if (member !== undefined) field.write(writer, member as never);
      }
    },
    read(reader, into) {
      const message = (into ?? emptyMessage(table)) as Record<string, unknown>;
      for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
        readField(reader, tag & 7, byNumber[tag >>> 3], message, table);
      }
      return message as T;
    },
  };
}

function emptyMessage(table: readonly AnyField[]): object {
  const message: Record<string, unknown> = {};
  for (const field of table) {
    const initial = field.initial();
    if (initial !== undefined) message[field.name] = initial;
  }
  return message;
}

function readField(
  reader: Reader,
  wire: number,
  field: AnyField | undefined,
  message: Record<string, unknown>,
  table: readonly AnyField[],
): void {
  const read = field?.read(reader, wire, message[field.name]);
  if (field === undefined || read === undefined) {
    reader.skipType(wire);
    return;
  }
  if (field.oneof !== undefined) {
    for (const other of table) if (other.oneof === field.oneof) Reflect.deleteProperty(message, other.name);
  }
  message[field.name] = read;
}

export function codecOf<T>(type: MessageType<T>): Codec<T> {
  return {
    encode(value) {
      const writer = newWriter();
      type.write(writer, value);
      return finish(writer);
    },
    decode(bytes) {
      try {
        return type.read(newReader(bytes));
      } catch (thrown) {
        throw malformed(thrown);
      }
    },
  };
}

interface Scalar<V> {
  readonly wire: number;
  readonly zero: V;
  write(writer: Writer, value: V): void;
  read(reader: Reader): V;
}

const textScalar: Scalar<string> = {
  wire: wireBytes,
  zero: '',
  write: writeText,
  read: readText,
};
const flagScalar: Scalar<boolean> = {
  wire: wireVarint,
  zero: false,
  write: (writer, value) => writer.bool(value),
  read: readBool,
};
const uint32Scalar: Scalar<number> = {
  wire: wireVarint,
  zero: 0,
  write: (writer, value) => writer.uint32(value),
  read: readUint32,
};
const int32Scalar: Scalar<number> = {
  wire: wireVarint,
  zero: 0,
  write: (writer, value) => writer.int32(value),
  read: (reader) => readUint32(reader) | 0,
};
const uint64Scalar: Scalar<bigint> = {
  wire: wireVarint,
  zero: 0n,
  write: writeInt64,
  read: readUint64,
};
const int64Scalar: Scalar<bigint> = { ...uint64Scalar, read: readInt64 };
const msScalar: Scalar<number> = {
  wire: wireVarint,
  zero: 0,
  write: (writer, value) => writeInt64(writer, BigInt(Math.max(0, Math.round(value)))),
  read: (reader) => Number(readUint64(reader)),
};
const bytesScalar: Scalar<Buffer> = {
  wire: wireBytes,
  zero: Buffer.alloc(0),
  write: (writer, value) => writer.bytes(value),
  read: readBytes,
};

function isZero<V>(scalar: Scalar<V>, value: V): boolean {
  return value instanceof Uint8Array ? value.length === 0 : Object.is(value, scalar.zero);
}

function single<V>(scalar: Scalar<V>): (number: number) => Field<V> {
  return (number) => ({
    number,
    initial: () => scalar.zero,
    write: (writer, value) => {
      if (!isZero(scalar, value as V)) scalar.write(writeTag(writer, number, scalar.wire), value as V);
    },
    read: (reader, wire) => (wire === scalar.wire ? scalar.read(reader) : undefined),
  });
}

function member<V>(scalar: Scalar<V>): (number: number, oneof: string) => Field<V> {
  return (number, oneof) => ({
    number,
    oneof,
    initial: () => undefined,
    write: (writer, value) => scalar.write(writeTag(writer, number, scalar.wire), value as V),
    read: (reader, wire) => (wire === scalar.wire ? scalar.read(reader) : undefined),
  });
}

export const text = single(textScalar);
export const flag = single(flagScalar);
export const uint32 = single(uint32Scalar);
export const int32 = single(int32Scalar);
export const uint64 = single(uint64Scalar);
export const int64 = single(int64Scalar);
/** uint64 of milliseconds as a number: fractions are rounded, what is below 0 is written as 0. */
export const ms = single(msScalar);
export const raw = single(bytesScalar);

/** Members of a oneof: absent unless set, written even if zero. */
export const oneofFlag = member(flagScalar);
export const oneofInt64 = member(int64Scalar);

/** Made by `initial` for the message being read, so it is grown in place: copying each time would be quadratic. */
function owned<V>(current: readonly V[] | undefined): V[] {
  return (current ?? []) as V[];
}

export function texts(number: number): Field<readonly string[]> {
  return {
    number,
    initial: () => [],
    write: (writer, value) => {
      for (const one of value) writeText(writeTag(writer, number, wireBytes), one);
    },
    read: (reader, wire, current) => {
      if (wire !== wireBytes) return undefined;
      const all = owned(current);
      all.push(readText(reader));
      return all;
    },
  };
}

/** An enum as names: the index is the number. A number without a name reads as `unknown`, or the first name. */
export function named<N extends string>(number: number, names: readonly N[], unknown?: N): Field<N> {
  const nameOf = (value: number): N => {
    const name = names[value] ?? unknown ?? names[0];
    if (name === undefined) throw new MessageMalformed('an enum without names');
    return name;
  };
  return {
    number,
    initial: () => nameOf(0),
    write: (writer, value) => {
      const index = names.indexOf(value as N);
      if (index > 0) writeTag(writer, number, wireVarint).uint32(index);
    },
    read: (reader, wire) => (wire === wireVarint ? nameOf(readUint32(reader)) : undefined),
  };
}

/** Repeated enums: written packed, read either way. */
export function namedList<N extends string>(number: number, names: readonly N[]): Field<readonly N[]> {
  const push = (into: N[], value: number): void => {
    const name = names[value];
    if (name !== undefined) into.push(name); // one that a later version added cannot be named
  };
  return {
    number,
    initial: () => [],
    write: (writer, value) => {
      const list = value as readonly N[];
      if (list.length === 0) return;
      writeTag(writer, number, wireBytes).fork();
      for (const name of list) writer.uint32(names.indexOf(name));
      writer.ldelim();
    },
    read: (reader, wire, current) => {
      const list = owned(current);
      if (wire === wireVarint) push(list, readUint32(reader));
      else if (wire === wireBytes) {
        const outerEnd = enter(reader);
        while (reader.pos < reader.len) push(list, readUint32(reader));
        leave(reader, outerEnd);
      } else return undefined;
      return list;
    },
  };
}

export function textMap(number: number): Field<ReadonlyMap<string, string>> {
  return {
    number,
    initial: () => new Map(),
    write: (writer, value) => {
      for (const [key, entry] of value) writeMapEntry(writer, number, key, entry);
    },
    read: (reader, wire, current) => {
      if (wire !== wireBytes) return undefined;
      const map = (current ?? new Map<string, string>()) as Map<string, string>;
      const { key, value } = readNested(reader, mapEntryType);
      return map.set(key, value);
    },
  };
}

/** A Map, not an object, takes any key, `__proto__` too (L6). */
const mapEntryType = messageType<{ readonly key: string; readonly value: string }>({ key: text(1), value: text(2) });

/** Map entries are written whole, empty key and value too, as other encoders do. */
export function writeMapEntry(writer: Writer, number: number, key: string, value: string): void {
  writeTag(writer, number, wireBytes).fork();
  writeText(writeTag(writer, 1, wireBytes), key);
  writeText(writeTag(writer, 2, wireBytes), value);
  writer.ldelim();
}

function writeNested<T>(writer: Writer, number: number, type: MessageType<T>, value: Init<T>): void {
  writeTag(writer, number, wireBytes).fork();
  type.write(writer, value);
  writer.ldelim();
}

function readNested<T>(reader: Reader, type: MessageType<T>, into?: T): T {
  const outerEnd = enter(reader);
  const value = type.read(reader, into);
  leave(reader, outerEnd);
  return value;
}

/** A message that may be absent, in a oneof or on its own. */
export function optional<T>(number: number, type: MessageType<T>, oneof?: string): Field<T> {
  return {
    number,
    ...(oneof === undefined ? {} : { oneof }),
    initial: () => undefined,
    write: (writer, value) => writeNested(writer, number, type, value),
    read: (reader, wire, current) => (wire === wireBytes ? readNested(reader, type, current) : undefined),
  };
}

export function list<T>(number: number, type: MessageType<T>): Field<readonly T[]> {
  return {
    number,
    initial: () => [],
    write: (writer, value) => {
      for (const one of value) writeNested(writer, number, type, one);
    },
    read: (reader, wire, current) => {
      if (wire !== wireBytes) return undefined;
      const all = owned(current);
      all.push(readNested(reader, type));
      return all;
    },
  };
}
