/**
 * gNMI TypedValue: wire form, and the JSON texts our outputs offer.
 *
 * V-a. Nothing is rounded on its way through: integers are bigint, decimals are digits and precision, JSON keeps its
 *      digits because it is checked and copied, never parsed into numbers (V2, V3, V7, V10).
 * V-b. What was set decides the kind, never what was asked for (E6); `false`, 0 and empty are values (V4, V8).
 * V-c. Nothing a device sends makes a function of this file throw, but MessageMalformed from `decodeTypedValue`.
 */
import { formatDecimal, formatDouble, formatFloat } from './number-text.ts';
import { verbatimJson } from './json-text.ts';
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
import { MessageMalformed, wireBytes, wireFixed32, wireFixed64, wireVarint } from './wire-reader.ts';

export type TypedValue =
  | { readonly kind: 'string' | 'ascii'; readonly value: string }
  | { readonly kind: 'int' | 'uint'; readonly value: bigint }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'bytes' | 'json' | 'json_ietf' | 'proto_bytes'; readonly value: Buffer }
  | { readonly kind: 'float' | 'double'; readonly value: number }
  /** digits × 10^-precision */
  | { readonly kind: 'decimal'; readonly digits: bigint; readonly precision: number }
  | { readonly kind: 'leaflist'; readonly values: readonly TypedValue[] }
  | { readonly kind: 'any'; readonly typeUrl: string; readonly value: Buffer };

/** The index is the field number. */
const kinds = [
  undefined,
  'string',
  'int',
  'uint',
  'bool',
  'bytes',
  'float',
  'decimal',
  'leaflist',
  'any',
  'json',
  'json_ietf',
  'ascii',
  'proto_bytes',
  'double',
] as const satisfies readonly (TypedValue['kind'] | undefined)[];

export function encodeTypedValue(value: TypedValue): Buffer {
  const writer = newWriter();
  writeTypedValue(writer, value);
  return finish(writer);
}

function writeTypedValue(writer: Writer, value: TypedValue): void {
  const field = kinds.indexOf(value.kind);
  switch (value.kind) {
    case 'string':
    case 'ascii':
      writeText(writeTag(writer, field, wireBytes), value.value);
      return;
    case 'int':
    case 'uint':
      writeInt64(writeTag(writer, field, wireVarint), value.value);
      return;
    case 'bool':
      writeTag(writer, field, wireVarint).bool(value.value);
      return;
    case 'bytes':
    case 'json':
    case 'json_ietf':
    case 'proto_bytes':
      writeTag(writer, field, wireBytes).bytes(value.value);
      return;
    case 'float':
      writeTag(writer, field, wireFixed32).float(value.value);
      return;
    case 'double':
      writeTag(writer, field, wireFixed64).double(value.value);
      return;
    case 'decimal':
    case 'leaflist':
    case 'any':
      writeTag(writer, field, wireBytes).fork();
      writeNested(writer, value);
      writer.ldelim();
  }
}

function writeNested(writer: Writer, value: TypedValue & { kind: 'decimal' | 'leaflist' | 'any' }): void {
  if (value.kind === 'decimal') {
    if (value.digits !== 0n) writeInt64(writeTag(writer, 1, wireVarint), value.digits);
    if (value.precision !== 0) writeTag(writer, 2, wireVarint).uint32(value.precision);
  } else if (value.kind === 'any') {
    if (value.typeUrl !== '') writeText(writeTag(writer, 1, wireBytes), value.typeUrl);
    if (value.value.length > 0) writeTag(writer, 2, wireBytes).bytes(value.value);
  } else {
    for (const element of value.values) {
      writeTag(writer, 1, wireBytes).fork();
      writeTypedValue(writer, element);
      writer.ldelim();
    }
  }
}

/**
 * Null if no field is set. Of several the last counts. Throws MessageMalformed. Bytes are views into `bytes`.
 */
export function decodeTypedValue(bytes: Buffer): TypedValue | null {
  try {
    return readTypedValue(newReader(bytes), 0);
  } catch (thrown) {
    throw malformed(thrown);
  }
}

/** Leaf-lists in leaf-lists are legal; no device has them so deep, and the stack is bounded. */
const depthMax = 64;

function readTypedValue(reader: Reader, depth: number): TypedValue | null {
  if (depth > depthMax) throw new MessageMalformed(`nested deeper than ${depthMax}`);
  let value: TypedValue | null = null;
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    const kind = kinds[tag >>> 3];
    const read = kind === undefined ? null : readKind(reader, kind, tag & 7, depth);
    if (read === null) reader.skipType(tag & 7);
    else value = read;
  }
  return value;
}

/** Null, and nothing read, if the wire type is not the kind's. */
function readKind(reader: Reader, kind: TypedValue['kind'], wire: number, depth: number): TypedValue | null {
  switch (kind) {
    case 'string':
    case 'ascii':
      return wire === wireBytes ? { kind, value: readText(reader) } : null;
    case 'int':
      return wire === wireVarint ? { kind, value: readInt64(reader) } : null;
    case 'uint':
      return wire === wireVarint ? { kind, value: readUint64(reader) } : null;
    case 'bool':
      return wire === wireVarint ? { kind, value: readBool(reader) } : null;
    case 'bytes':
    case 'json':
    case 'json_ietf':
    case 'proto_bytes':
      return wire === wireBytes ? { kind, value: readBytes(reader) } : null;
    case 'float':
      return wire === wireFixed32 ? { kind, value: reader.float() } : null;
    case 'double':
      return wire === wireFixed64 ? { kind, value: reader.double() } : null;
    case 'decimal':
    case 'leaflist':
    case 'any': {
      if (wire !== wireBytes) return null;
      const outerEnd = enter(reader);
      const value =
        kind === 'decimal' ? readDecimal(reader) : kind === 'any' ? readAny(reader) : readLeaflist(reader, depth);
      leave(reader, outerEnd);
      return value;
    }
  }
}

const firstVarint = (1 << 3) | wireVarint;
const secondVarint = (2 << 3) | wireVarint;
const firstBytes = (1 << 3) | wireBytes;
const secondBytes = (2 << 3) | wireBytes;

function readDecimal(reader: Reader): TypedValue {
  let digits = 0n;
  let precision = 0;
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    if (tag === firstVarint) digits = readInt64(reader);
    else if (tag === secondVarint) precision = readUint32(reader);
    else reader.skipType(tag & 7);
  }
  return { kind: 'decimal', digits, precision };
}

function readAny(reader: Reader): TypedValue {
  let typeUrl = '';
  let value: Buffer = Buffer.alloc(0);
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    if (tag === firstBytes) typeUrl = readText(reader);
    else if (tag === secondBytes) value = readBytes(reader);
    else reader.skipType(tag & 7);
  }
  return { kind: 'any', typeUrl, value };
}

/** Elements without a value are left out: there is nothing to show for them. */
function readLeaflist(reader: Reader, depth: number): TypedValue {
  const values: TypedValue[] = [];
  for (let tag = readTag(reader); tag !== undefined; tag = readTag(reader)) {
    if (tag !== firstBytes) {
      reader.skipType(tag & 7);
      continue;
    }
    const outerEnd = enter(reader);
    const element = readTypedValue(reader, depth + 1);
    leave(reader, outerEnd);
    if (element !== null) values.push(element);
  }
  return { kind: 'leaflist', values };
}

/** The `type` of a leaf in answers. */
export function valueType(value: TypedValue): TypedValue['kind'] {
  return value.kind;
}

/** Whether the value is text that claims to be JSON and is not: such an update is counted and reported (V16). */
export function isBadJson(value: TypedValue): boolean {
  return (value.kind === 'json' || value.kind === 'json_ietf') && verbatimJson(value.value) === undefined;
}

/**
 * `rfc7951`: 64-bit integers and decimals are strings. `native`: they are numbers, all digits written, but most readers
 * round them. `typed`: the value under the name of its field, as gNMI's own JSON form, with JSON inlined.
 */
export type ValueEncoding = 'rfc7951' | 'native' | 'typed';

/** JSON text of a value. JSON of a device is copied, without outer blanks; text that is no JSON becomes a string. */
export function formatValueJson(value: TypedValue, encoding: ValueEncoding): string {
  return encoding === 'typed' ? formatTyped(value) : formatPlain(value, encoding);
}

function formatPlain(value: TypedValue, encoding: 'rfc7951' | 'native'): string {
  switch (value.kind) {
    case 'string':
    case 'ascii':
      return JSON.stringify(value.value);
    case 'int':
    case 'uint':
      return encoding === 'native' ? value.value.toString() : `"${value.value}"`;
    case 'bool':
      return String(value.value);
    case 'bytes':
    case 'proto_bytes':
      return `"${value.value.toString('base64')}"`;
    case 'json':
    case 'json_ietf':
      return verbatimJson(value.value) ?? JSON.stringify(value.value.toString('utf8'));
    case 'float':
      return formatFloat(value.value);
    case 'double':
      return formatDouble(value.value);
    case 'decimal': {
      const text = formatDecimal(value.digits, value.precision);
      return encoding === 'native' ? text : `"${text}"`;
    }
    case 'leaflist':
      return `[${value.values.map((element) => formatPlain(element, encoding)).join(',')}]`;
    case 'any':
      return `{"typeUrl":${JSON.stringify(value.typeUrl)},"value":"${value.value.toString('base64')}"}`;
  }
}

const typedNames: Readonly<Record<TypedValue['kind'], string>> = {
  string: 'stringVal',
  int: 'intVal',
  uint: 'uintVal',
  bool: 'boolVal',
  bytes: 'bytesVal',
  float: 'floatVal',
  decimal: 'decimalVal',
  leaflist: 'leaflistVal',
  any: 'anyVal',
  json: 'jsonVal',
  json_ietf: 'jsonIetfVal',
  ascii: 'asciiVal',
  proto_bytes: 'protoBytes',
  double: 'doubleVal',
};

function formatTyped(value: TypedValue): string {
  let inner: string;
  if (value.kind === 'leaflist') inner = `{"element":[${value.values.map(formatTyped).join(',')}]}`;
  else if (value.kind === 'decimal') inner = `{"digits":"${value.digits}","precision":${value.precision}}`;
  else inner = formatPlain(value, 'rfc7951');
  return `{"${typedNames[value.kind]}":${inner}}`;
}

export { MessageMalformed };
