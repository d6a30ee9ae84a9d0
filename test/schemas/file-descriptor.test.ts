import { describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { fileDescriptor, type ProtoText } from '../../schemas/file-descriptor.ts';
import { protoTexts } from '../../schemas/proto-texts.ts';

const files: ProtoText[] = Object.entries(protoTexts).map(([name, text]) => ({ name, text }));

interface Described {
  name: string;
  messageType?: DescribedMessage[];
  [other: string]: unknown;
}
interface DescribedMessage {
  name: string;
  field?: Record<string, unknown>[];
  nestedType?: DescribedMessage[];
  [other: string]: unknown;
}

const read = (bytes: Buffer): Described =>
  descriptor.FileDescriptorProto.toObject(descriptor.FileDescriptorProto.decode(bytes)) as Described;

/** A file and everything below it, as a registry's references lead to it. */
function importsOf(file: ProtoText): ProtoText[] {
  const direct = files.filter(({ name }) => file.text.includes(`import "${name}";`));
  return [...new Set(direct.flatMap((one) => [...importsOf(one), one]))];
}

const shapes = `syntax = "proto3";
package shapes.v1;
import "google/protobuf/timestamp.proto";
import "other.proto";
enum Colour { RED = 0; GREEN = 5; }
message Shape {
  enum Kind { ROUND = 0; }
  message Corner { double x = 1; }
  Kind kind = 1;
  repeated Corner all_corners = 2;
  map<string, Colour> side_colours = 3;
  oneof of { string text = 4; other.Thing thing = 5; }
  google.protobuf.Timestamp made_at = 6;
  optional bool maybe = 7;
}
service Shapes { rpc Watch (Shape) returns (stream other.Thing); }`;
const other: ProtoText = { name: 'other.proto', text: 'syntax = "proto3"; package other; message Thing {}' };

test('names, numbers and types are those of the text', () => {
  expect(read(fileDescriptor({ name: 'shapes.proto', text: shapes }, [other]))).toEqual({
    name: 'shapes.proto',
    package: 'shapes.v1',
    dependency: ['google/protobuf/timestamp.proto', 'other.proto'],
    service: [
      {
        name: 'Shapes',
        method: [
          {
            name: 'Watch',
            inputType: '.shapes.v1.Shape',
            outputType: '.other.Thing',
            clientStreaming: false,
            serverStreaming: true,
          },
        ],
      },
    ],
    syntax: 'proto3',
    enumType: [
      {
        name: 'Colour',
        value: [
          { name: 'RED', number: 0 },
          { name: 'GREEN', number: 5 },
        ],
      },
    ],
    messageType: [
      {
        name: 'Shape',
        field: [
          { name: 'kind', jsonName: 'kind', number: 1, label: 1, type: 14, typeName: '.shapes.v1.Shape.Kind' },
          {
            name: 'all_corners',
            jsonName: 'allCorners',
            number: 2,
            label: 3,
            type: 11,
            typeName: '.shapes.v1.Shape.Corner',
          },
          {
            name: 'side_colours',
            jsonName: 'sideColours',
            number: 3,
            label: 3,
            type: 11,
            typeName: '.shapes.v1.Shape.SideColoursEntry',
          },
          { name: 'text', jsonName: 'text', number: 4, label: 1, type: 9, oneofIndex: 0 },
          { name: 'thing', jsonName: 'thing', number: 5, label: 1, type: 11, typeName: '.other.Thing', oneofIndex: 0 },
          {
            name: 'made_at',
            jsonName: 'madeAt',
            number: 6,
            label: 1,
            type: 11,
            typeName: '.google.protobuf.Timestamp',
          },
          { name: 'maybe', jsonName: 'maybe', number: 7, label: 1, type: 8, oneofIndex: 1, proto3Optional: true },
        ],
        nestedType: [
          { name: 'Corner', field: [{ name: 'x', jsonName: 'x', number: 1, label: 1, type: 1 }] },
          {
            name: 'SideColoursEntry',
            field: [
              { name: 'key', jsonName: 'key', number: 1, label: 1, type: 9 },
              { name: 'value', jsonName: 'value', number: 2, label: 1, type: 14, typeName: '.shapes.v1.Colour' },
            ],
            options: { mapEntry: true },
          },
        ],
        enumType: [{ name: 'Kind', value: [{ name: 'ROUND', number: 0 }] }],
        oneofDecl: [{ name: 'of' }, { name: '_maybe' }],
      },
    ],
  });
});

test('what is no .proto text, or names what is nowhere, is refused', () => {
  expect(() => fileDescriptor({ name: 'a', text: 'no schema' }, [])).toThrow();
  expect(() => fileDescriptor({ name: 'a', text: shapes }, [])).toThrow('other.Thing');
});

test.each(files)('$name: the record type is its first message', (file) => {
  const record = /^message (\w+)/m.exec(file.text)?.[1];
  expect(read(fileDescriptor(file, importsOf(file))).messageType?.[0]?.name).toBe(record);
});

/** `PROTOC` may hold arguments, as in `python -m grpc_tools.protoc`. */
const [protoc = 'protoc', ...protocArguments] = (process.env['PROTOC'] ?? 'protoc').split(' ');
const hasProtoc = spawnSync(protoc, [...protocArguments, '--version']).status === 0;
if (!hasProtoc) process.stdout.write('skipped: protoc is not there; PROTOC=/path/to/protoc runs these tests\n');

(hasProtoc ? describe : describe.skip)('with protoc', () => {
  test.each(files)('$name is what protoc makes of it, but for what no reader needs', (file) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-protoc-'));
    try {
      const target = join(folder, 'one.pb');
      const from = `--proto_path=${join('schemas', 'proto')}`;
      execFileSync(protoc, [...protocArguments, from, `--descriptor_set_out=${target}`, file.name]);
      const set = descriptor.FileDescriptorSet.decode(readFileSync(target));
      const [theirs] = (descriptor.FileDescriptorSet.toObject(set) as { file: Described[] }).file;
      expect(needed(read(fileDescriptor(file, importsOf(file))))).toEqual(needed(theirs ?? { name: '' }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function needed({ options: _options, extension: _extension, ...file }: Described): object {
  return { ...file, messageType: (file.messageType ?? []).map(neededOf) };
}

function neededOf({ reservedRange: _range, reservedName: _name, options, ...message }: DescribedMessage): object {
  const isMapEntry = (options as { mapEntry?: boolean } | undefined)?.mapEntry === true;
  const field = message.field?.map(({ options: _options, ...rest }) => rest);
  const nested = message.nestedType?.map(neededOf) as DescribedMessage[] | undefined;
  return {
    ...message,
    ...(isMapEntry ? { options } : {}),
    ...(field === undefined ? {} : { field }),
    ...(nested === undefined ? {} : { nestedType: nested.sort((a, b) => (a.name < b.name ? -1 : 1)) }),
  };
}
