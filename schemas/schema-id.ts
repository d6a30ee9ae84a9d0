/**
 * Ids of the built-in registry: a function of the text alone, so that every process computes the same id without
 * asking anybody. And the order in which texts are registered.
 */
import { createHash } from 'node:crypto';
import { type SchemaText, schemaTexts } from './proto-texts.ts';

/** UTF-8, LF line ends, no trailing blanks, one newline at the end. */
export function canonicalSchemaText(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const trimmed = lines.map((line) => line.replace(/[ \t]+$/, '')).join('\n');
  return `${trimmed.replace(/\n+$/, '')}\n`;
}

/**
 * The first 4 bytes of the SHA-256 of the canonical text, big-endian, shifted right by one: a positive int32. Two texts
 * may collide; whoever registers refuses that by name (SCHEMA_COLLISION).
 */
export function builtInSchemaId(text: string): number {
  return createHash('sha256').update(canonicalSchemaText(text), 'utf8').digest().readUInt32BE(0) >>> 1;
}

/** Everything a text imports, directly or not, without itself: each after what it needs. */
export function referencedTexts(message: keyof typeof schemaTexts): readonly SchemaText[] {
  const found = new Map<string, SchemaText>();
  const text: SchemaText = schemaTexts[message];
  for (const reference of text.references) {
    for (const deeper of referencedTexts(reference.message)) found.set(deeper.file, deeper);
    found.set(reference.name, schemaTexts[reference.message]);
  }
  return [...found.values()];
}
