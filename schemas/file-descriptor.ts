/**
 * The compiled form of a .proto text, a google.protobuf.FileDescriptorProto: what a schema registry answers to
 * `format=serialized`, as Python's stock deserializer asks for it, and what gRPC reflection answers.
 *
 * Messages, enums and services are in it, with all that is needed to call and decode; options, extensions and comments are
 * not.
 */
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** Field types by the numbers of google.protobuf.FieldDescriptorProto.Type; index 0 and groups are never used. */
const scalarTypes = [
  ...['', 'double', 'float', 'int64', 'uint64', 'int32', 'fixed64', 'fixed32', 'bool', 'string', 'group', 'message'],
  ...['bytes', 'uint32', 'enum', 'sfixed32', 'sfixed64', 'sint32', 'sint64'],
];
const messageKind = 11;
const enumKind = 14;
const single = 1;
const repeated = 3;

export interface ProtoText {
  /** As import statements spell it. */
  readonly name: string;
  readonly text: string;
}

/**
 * For proto3 texts. `imports` are the files that `file` imports and those that they import, but for google/protobuf/… . Throws Error for a
 * text that is not Protobuf or names what is nowhere.
 */
export function fileDescriptor(file: ProtoText, imports: readonly ProtoText[]): Buffer {
  const root = new protobuf.Root();
  for (const name of ['any', 'duration', 'empty', 'field_mask', 'struct', 'timestamp', 'wrappers']) {
    const wellKnown = protobuf.common.get(`google/protobuf/${name}.proto`);
    if (wellKnown?.nested !== undefined && file.name !== `google/protobuf/${name}.proto`)
      root.addJSON(wellKnown.nested);
  }
  for (const { text } of imports) protobuf.parse(text, root, { keepCase: true });
  // A root of its own for the file, so that what it declares can be told from what it imports.
  const own = new protobuf.Root();
  const { package: packageName = '', imports: direct = [] } = protobuf.parse(file.text, own, { keepCase: true });
  protobuf.parse(file.text, root, { keepCase: true });
  root.resolveAll();
  const declared = packageName === '' ? own : own.lookup(packageName);
  const names = declared instanceof protobuf.Namespace ? declared.nestedArray.map(({ fullName }) => fullName) : [];
  const objects = names.map((name) => root.lookup(name));
  const message = {
    name: file.name,
    package: packageName,
    dependency: direct,
    messageType: objects.filter((one) => one instanceof protobuf.Type).map(messageOf),
    enumType: objects.filter((one) => one instanceof protobuf.Enum).map(enumOf),
    service: objects.filter((one) => one instanceof protobuf.Service).map(serviceOf),
    syntax: 'proto3',
  };
  return encode(descriptor.FileDescriptorProto, message);
}

function encode(type: protobuf.Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function messageOf(type: protobuf.Type): object {
  const { fieldsArray, oneofsArray, nestedArray } = type;
  const maps = fieldsArray.filter((field) => field instanceof protobuf.MapField);
  return {
    name: type.name,
    field: fieldsArray.map((field) => fieldOf(field, type)),
    nestedType: [
      ...nestedArray.filter((one) => one instanceof protobuf.Type).map(messageOf),
      ...maps.map((map) => mapEntryOf(map)),
    ],
    enumType: nestedArray.filter((one) => one instanceof protobuf.Enum).map(enumOf),
    oneofDecl: oneofsArray.map(({ name }) => ({ name })),
  };
}

function enumOf({ name, values }: protobuf.Enum): object {
  return { name, value: Object.entries(values).map(([valueName, number]) => ({ name: valueName, number })) };
}

function serviceOf({ name, methodsArray }: protobuf.Service): object {
  const method = methodsArray.map((rpc) => ({
    name: rpc.name,
    inputType: rpc.resolvedRequestType?.fullName,
    outputType: rpc.resolvedResponseType?.fullName,
    clientStreaming: rpc.requestStream === true,
    serverStreaming: rpc.responseStream === true,
  }));
  return { name, method };
}

function fieldOf(field: protobuf.Field, type: protobuf.Type): object {
  const isMap = field instanceof protobuf.MapField;
  return {
    name: field.name,
    jsonName: jsonName(field.name),
    number: field.id,
    label: isMap || field.repeated ? repeated : single,
    ...(isMap ? { type: messageKind, typeName: `${type.fullName}.${entryName(field)}` } : typeOf(field)),
    ...(field.partOf === null ? {} : { oneofIndex: type.oneofsArray.indexOf(field.partOf) }),
    ...(field.options?.['proto3_optional'] === true ? { proto3Optional: true } : {}),
  };
}

/** As protoc makes it, and tools print it: without underscores, the letter behind each in upper case. */
function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_underscores, next: string) => next.toUpperCase());
}

type TypedField = Pick<protobuf.FieldBase, 'type' | 'resolvedType'>;

function typeOf({ type, resolvedType }: TypedField): object {
  if (resolvedType === null) return { type: scalarTypes.indexOf(type) };
  return { type: resolvedType instanceof protobuf.Enum ? enumKind : messageKind, typeName: resolvedType.fullName };
}

/** A map is a repeated message of key and value, whose name is that of the field. */
function mapEntryOf(field: protobuf.MapField): object {
  return {
    name: entryName(field),
    field: [
      { name: 'key', jsonName: 'key', number: 1, label: single, type: scalarTypes.indexOf(field.keyType) },
      { name: 'value', jsonName: 'value', number: 2, label: single, ...typeOf(field) },
    ],
    options: { mapEntry: true },
  };
}

function entryName({ name }: protobuf.MapField): string {
  const camel = name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return `${camel}Entry`;
}
