import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { gnmi } from '../../schemas/gnmi.ts';
import { parsePath } from '../../schemas/path.ts';
import { type SchemaText, protoTexts, schemaTexts } from '../../schemas/proto-texts.ts';
import { topicCatalogue } from '../../schemas/topics.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { protoRoot } from './reflection.ts';

const folder = join('schemas', 'proto');
const files = readdirSync(folder, { recursive: true })
  .map((name) => String(name).replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.proto'));

test('the texts are those of the files; if not: node scripts/generate-proto-texts.mjs', () => {
  expect(Object.keys(protoTexts).sort()).toEqual([...files].sort());
  for (const file of files) expect(protoTexts[file]).toBe(readFileSync(join(folder, file), 'utf8'));
});

test('F1: every schema declares its message first, outside of comments', () => {
  for (const [message, { file, text }] of Object.entries<SchemaText>(schemaTexts)) {
    const code = text.replace(/\/\/.*$/gm, '');
    const first = /\b(?:message|enum|service)\s+(\w+)/.exec(code)?.[1];
    expect([file, `${/package ([\w.]+);/.exec(code)?.[1] ?? ''}.${first ?? ''}`]).toEqual([file, message]);
    expect(protoTexts[file]).toBe(text);
  }
});

test('references are the imports, but for what is built in everywhere', () => {
  for (const { text, references } of Object.values<SchemaText>(schemaTexts)) {
    const imports = [...text.matchAll(/^import "(.+)";$/gm)].map((match) => match[1]!);
    expect(references.map(({ name }) => name)).toEqual(imports.filter((name) => !name.startsWith('google/')));
    for (const { name, message } of references) expect(schemaTexts[message].file).toBe(name);
  }
});

test('every record type of the catalogue is in the files protobufjs reads', () => {
  for (const { messages } of topicCatalogue) {
    for (const message of messages) expect(protoRoot().lookupType(message).fullName).toBe(`.${message}`);
  }
});

/** `PROTOC` may hold arguments, as in `python -m grpc_tools.protoc`. */
const [protoc = 'protoc', ...protocArguments] = (process.env['PROTOC'] ?? 'protoc').split(' ');

function runProtoc(args: readonly string[], input?: string | Buffer): Buffer {
  return execFileSync(protoc, [...protocArguments, `--proto_path=${folder}`, ...args], {
    input: input ?? '',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

function hasProtoc(): boolean {
  try {
    runProtoc(['--version']);
    return true;
  } catch {
    process.stdout.write('skipped: protoc is not there; PROTOC=/path/to/protoc runs these tests\n');
    return false;
  }
}

(hasProtoc() ? describe : describe.skip)('with protoc', () => {
  test('the files compile', () => {
    const target = mkdtempSync(join(tmpdir(), 'holdfast-protoc-'));
    try {
      runProtoc([`--descriptor_set_out=${join(target, 'all.pb')}`, ...files]);
    } finally {
      rmSync(target, { recursive: true });
    }
  });

  test('what protoc encodes from text is decoded, and back', () => {
    const text = `
update {
  timestamp: 1787000000000000001
  prefix { origin: "openconfig" elem { name: "interfaces" } target: "leaf-1" }
  update {
    path { elem { name: "interface" key { key: "name" value: "et-0/0/1" } } }
    val { uint_val: 18446744073709551615 }
    duplicates: 2
  }
  delete { elem { name: "a" } }
  atomic: true
}`;
    const bytes = runProtoc(['--encode=gnmi.SubscribeResponse', 'gnmi/gnmi.proto'], text);
    const message = gnmi.SubscribeResponse.decode(bytes);
    expect(message).toEqual({
      update: {
        timestamp: 1787000000000000001n,
        prefix: { ...parsePath('openconfig:/interfaces'), target: 'leaf-1' },
        update: [
          {
            path: parsePath('/interface[name=et-0/0/1]'),
            val: encodeTypedValue({ kind: 'uint', value: 18446744073709551615n }),
            duplicates: 2,
          },
        ],
        delete: [parsePath('/a')],
        atomic: true,
      },
      extension: [],
    });
    const printed = runProtoc(
      ['--decode=gnmi.SubscribeResponse', 'gnmi/gnmi.proto'],
      gnmi.SubscribeResponse.encode(message),
    );
    expect(words(printed.toString('utf8'))).toBe(words(text));
  });
});

function words(text: string): string {
  return text.split(/\s+/).join(' ').trim();
}
