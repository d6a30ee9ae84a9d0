import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type SchemaText, schemaTexts } from '../../schemas/proto-texts.ts';
import { builtInSchemaId, canonicalSchemaText, referencedTexts } from '../../schemas/schema-id.ts';
import { messageNames } from '../../schemas/topics.ts';

test('the id is the start of the hash of the canonical text, a positive int32', () => {
  const text = 'syntax = "proto3";\n';
  const hash = createHash('sha256').update(text).digest();
  expect(builtInSchemaId(text)).toBe(Math.floor(hash.readUInt32BE(0) / 2));
  expect(builtInSchemaId('syntax = "proto3"; \r\n\r\n')).toBe(builtInSchemaId(text));
  expect(builtInSchemaId('syntax = "proto3"')).not.toBe(builtInSchemaId(text));
});

test('texts differ by line ends, trailing blanks and final newlines alone: one id', () => {
  expect(canonicalSchemaText('a \t\r\nb\rc\n\n')).toBe('a\nb\nc\n');
  expect(canonicalSchemaText('a')).toBe('a\n');
  expect(canonicalSchemaText('  a\n\nb')).toBe('  a\n\nb\n');
});

test('our own texts are canonical, and their ids differ', () => {
  const texts = Object.values<SchemaText>(schemaTexts).map(({ text }) => text);
  for (const text of texts) expect(canonicalSchemaText(text)).toBe(text);
  expect(new Set(texts.map(builtInSchemaId)).size).toBe(texts.length);
});

test('what a text imports comes before it, each once', () => {
  expect(referencedTexts('holdfast.v1.Leaf').map(({ file }) => file)).toEqual([
    'gnmi_ext/gnmi_ext.proto',
    'gnmi/gnmi.proto',
  ]);
  expect(referencedTexts('holdfast.v1.Placement')).toEqual([]);
  for (const message of messageNames) {
    const known = new Set<string>();
    for (const { file, references } of referencedTexts(message)) {
      for (const { name } of references) expect(known).toContain(name);
      known.add(file);
    }
    for (const { name } of schemaTexts[message].references) expect(known).toContain(name);
  }
});
