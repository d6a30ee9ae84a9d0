import { protoTexts, schemaTexts } from '../../schemas/proto-texts.ts';
import { messageNames, type MessageName, subjectOf, topicCatalogue, topicOf } from '../../schemas/topics.ts';

/** The schemas that a registry must know before we write: one per topic and record type, and what they import. Pure. */
export interface WantedSchema {
  readonly subject: string;
  readonly text: string;
  /** Imports that are no part of Protobuf itself, each wanted as well and earlier in the list. */
  readonly imports: readonly WantedImport[];
  /** What the schema is for; null: only imported. */
  readonly use: SchemaUse | null;
}

export interface WantedImport {
  /** As the `import` line spells it. */
  readonly name: string;
  readonly subject: string;
}

export interface SchemaUse {
  /** Full name, with the prefix. */
  readonly topic: string;
  readonly message: MessageName;
}

/**
 * In the order in which they can be registered: imports before those who import them. An imported file is registered
 * under its own name, as Confluent's own serializers do.
 */
export function wantedSchemas(topicPrefix: string): WantedSchema[] {
  const wanted = new Map<string, WantedSchema>();
  const addImports = (text: string): WantedImport[] => {
    const names = importsOf(text);
    for (const name of names) {
      if (wanted.has(name)) continue;
      const imported = protoTexts[name];
      if (imported === undefined) throw new Error(`a schema imports ${name}, which is not part of the product`);
      const imports = addImports(imported);
      wanted.set(name, { subject: name, text: imported, imports, use: null });
    }
    return names.map((name) => ({ name, subject: name }));
  };
  for (const spec of topicCatalogue) {
    const topic = topicOf(topicPrefix, spec.name);
    for (const message of spec.messages) {
      const { text } = schemaTexts[message];
      const imports = addImports(text);
      wanted.set(subjectOf(topic, message), {
        subject: subjectOf(topic, message),
        text,
        imports,
        use: { topic, message },
      });
    }
  }
  return [...wanted.values()];
}

/** Files that a .proto text imports. `google/protobuf/*` is left out: every Protobuf implementation brings it. */
export function importsOf(text: string): string[] {
  const imports = withoutComments(text).matchAll(/^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;/gm);
  return [...imports].map((found) => found[1] ?? '').filter((name) => !name.startsWith('google/protobuf/'));
}

/** The record type that a .proto text defines first, if it is one of ours: newer and older texts included. */
export function recordTypeOf(text: string): MessageName | undefined {
  const code = withoutComments(text);
  const namespace = /^\s*package\s+([\w.]+)\s*;/m.exec(code)?.[1];
  const message = /^\s*message\s+(\w+)\s*\{/m.exec(code)?.[1];
  const name = namespace === undefined ? message : `${namespace}.${message ?? ''}`;
  return messageNames.find((known) => known === name);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}
