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
import { MessageMalformed, WireReader, wireBytes, wireFixed32, wireFixed64, wireVarint } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

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
  const writer = new WireWriter(64);
  writeTypedValue(writer, value);
  return writer.finish();
}

function writeTypedValue(writer: WireWriter, value: TypedValue): void {
  const field = kinds.indexOf(value.kind);
  switch (value.kind) {
    case 'string':
    case 'ascii':
      writer.stringField(field, value.value);
      return;
    case 'int':
    case 'uint':
      writer.uint64Field(field, value.value);
      return;
    case 'bool':
      writer.boolField(field, value.value);
      return;
    case 'bytes':
    case 'json':
    case 'json_ietf':
    case 'proto_bytes':
      writer.bytesField(field, value.value);
      return;
    case 'float':
      writer.floatField(field, value.value);
      return;
    case 'double':
      writer.doubleField(field, value.value);
      return;
    case 'decimal':
    case 'leaflist':
    case 'any': {
      const start = writer.open(field);
      writeNested(writer, value);
      writer.close(start);
    }
  }
}

function writeNested(writer: WireWriter, value: TypedValue & { kind: 'decimal' | 'leaflist' | 'any' }): void {
  if (value.kind === 'decimal') {
    if (value.digits !== 0n) writer.uint64Field(1, value.digits);
    if (value.precision !== 0) writer.uint32Field(2, value.precision);
  } else if (value.kind === 'any') {
    if (value.typeUrl !== '') writer.stringField(1, value.typeUrl);
    if (value.value.length > 0) writer.bytesField(2, value.value);
  } else {
    for (const element of value.values) {
      const start = writer.open(1);
      writeTypedValue(writer, element);
      writer.close(start);
    }
  }
}

/**
 * Null if no field is set. Of several the last counts. Throws MessageMalformed. Bytes are views into `bytes`.
 */
export function decodeTypedValue(bytes: Buffer): TypedValue | null {
  return readTypedValue(new WireReader(bytes));
}

function readTypedValue(reader: WireReader): TypedValue | null {
  let value: TypedValue | null = null;
  while (reader.next()) {
    const kind = kinds[reader.field];
    const read = kind === undefined ? null : readKind(reader, kind);
    if (read === null) reader.skip();
    else value = read;
  }
  return value;
}

/** Null, and nothing read, if the wire type is not the kind's. */
function readKind(reader: WireReader, kind: TypedValue['kind']): TypedValue | null {
  const { wire } = reader;
  switch (kind) {
    case 'string':
    case 'ascii':
      return wire === wireBytes ? { kind, value: reader.string() } : null;
    case 'int':
      return wire === wireVarint ? { kind, value: reader.int64() } : null;
    case 'uint':
      return wire === wireVarint ? { kind, value: reader.uint64() } : null;
    case 'bool':
      return wire === wireVarint ? { kind, value: reader.bool() } : null;
    case 'bytes':
    case 'json':
    case 'json_ietf':
    case 'proto_bytes':
      return wire === wireBytes ? { kind, value: reader.buffer() } : null;
    case 'float':
      return wire === wireFixed32 ? { kind, value: reader.float() } : null;
    case 'double':
      return wire === wireFixed64 ? { kind, value: reader.double() } : null;
    case 'decimal':
    case 'leaflist':
    case 'any': {
      if (wire !== wireBytes) return null;
      const outerEnd = reader.enter();
      const value = kind === 'decimal' ? readDecimal(reader) : kind === 'any' ? readAny(reader) : readLeaflist(reader);
      reader.leave(outerEnd);
      return value;
    }
  }
}

function readDecimal(reader: WireReader): TypedValue {
  let digits = 0n;
  let precision = 0;
  while (reader.next()) {
    if (reader.wire === wireVarint && reader.field === 1) digits = reader.int64();
    else if (reader.wire === wireVarint && reader.field === 2) precision = reader.uint32();
    else reader.skip();
  }
  return { kind: 'decimal', digits, precision };
}

function readAny(reader: WireReader): TypedValue {
  let typeUrl = '';
  let value: Buffer = Buffer.alloc(0);
  while (reader.next()) {
    if (reader.wire === wireBytes && reader.field === 1) typeUrl = reader.string();
    else if (reader.wire === wireBytes && reader.field === 2) value = reader.buffer();
    else reader.skip();
  }
  return { kind: 'any', typeUrl, value };
}

/** Elements without a value are left out: there is nothing to show for them. */
function readLeaflist(reader: WireReader): TypedValue {
  const values: TypedValue[] = [];
  while (reader.next()) {
    if (reader.wire !== wireBytes || reader.field !== 1) {
      reader.skip();
      continue;
    }
    const outerEnd = reader.enter();
    const element = readTypedValue(reader);
    reader.leave(outerEnd);
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
