import { builtInSchemaId, canonicalSchemaText } from '../../schemas/schema-id.ts';
import { topicOf } from '../../schemas/topics.ts';
import { type Clock } from '../clock.ts';
import { HoldfastError } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { type KafkaOptions } from './connection.ts';
import { type RegisteredSchema, SchemaIdMap, type SchemaIds } from './schema-ids.ts';
import { decodeSchemaRecord, encodeSchemaRecord, schemaKey, type SchemaRecord } from './schema-record.ts';
import { type WantedSchema, wantedSchemas } from './schema-set.ts';
import { Table } from './table.ts';

/**
 * Schemas in the topic `schemas`: Kafka stays the only system.
 *
 * B1. An id is a function of the text, so any number of processes may register at once: they write equal records.
 * B2. Two texts with one id are refused by name before anything is written under it.
 */
export interface BuiltInRegistryOptions {
  readonly topicPrefix: string;
  readonly kafka: KafkaOptions;
  readonly producer: SchemaProducer;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The part of `Producer` that registering needs. */
export interface SchemaProducer {
  send(topic: string, partition: number, records: readonly { key: Buffer; value: Buffer | null }[]): Promise<bigint>;
}

/** Registers what is missing and answers when it is durable and read back. @throws `SCHEMA_COLLISION` */
export async function openBuiltInRegistry(options: BuiltInRegistryOptions, signal: AbortSignal): Promise<SchemaIds> {
  const topic = topicOf(options.topicPrefix, 'schemas');
  const wanted = wantedSchemas(options.topicPrefix);
  const records = await withSchemas(options, signal, async (table) => {
    const missing = missingRecords(wanted, [...table.values()], options.clock.nowMs());
    if (missing.length > 0) {
      const lastOffset = await options.producer.send(topic, 0, missing.map(encodeSchemaRecord));
      await table.waitFor(0, lastOffset + BigInt(missing.length - 1), signal);
      options.logger.info({ topic, schemas: missing.length }, 'schemas registered');
    }
    const present = [...table.values()];
    missingRecords(wanted, present, 0); // B2, once more: another process may have written between
    return present;
  });
  const registered = wanted.flatMap((schema): RegisteredSchema[] =>
    schema.use === null ? [] : [{ ...schema.use, id: builtInSchemaId(schema.text) }],
  );
  const ids = new SchemaIdMap(registered, (id, until) => fetchText(options, id, until), options.clock);
  for (const record of records) ids.learn(record.id, record.schema);
  return ids;
}

/** The records to write so that every wanted schema is there (B1). Pure. @throws `SCHEMA_COLLISION` (B2) */
export function missingRecords(
  wanted: readonly WantedSchema[],
  present: readonly SchemaRecord[],
  registeredAt: number,
): SchemaRecord[] {
  const all = [...present];
  const missing: SchemaRecord[] = [];
  const keys = new Set(present.map(({ subject, id }) => schemaKey(subject, id)));
  for (const { subject, text, imports } of wanted) {
    const id = builtInSchemaId(text);
    refuseCollision(all, subject, id, text);
    if (keys.has(schemaKey(subject, id))) continue;
    const references = imports.map(({ name, subject: imported }) => ({
      name,
      subject: imported,
      version: versionOf(all, imported, builtInSchemaId(textOf(wanted, imported))),
    }));
    const schema = canonicalSchemaText(text);
    const record = { subject, id, schemaType: 'PROTOBUF', schema, references, registeredAt };
    all.push(record);
    missing.push(record);
  }
  return missing;
}

function refuseCollision(all: readonly SchemaRecord[], subject: string, id: number, text: string): void {
  const canonical = canonicalSchemaText(text);
  const other = all.find((record) => record.id === id && canonicalSchemaText(record.schema) !== canonical);
  if (other === undefined) return;
  throw new HoldfastError(
    'SCHEMA_COLLISION',
    `schema id ${id} of subject ${subject} is taken by another text, registered under ${other.subject}: ` +
      'remove that record from the topic of schemas, choose another topic prefix, or use a schema registry',
    { facts: { id, subject, otherSubject: other.subject } },
  );
}

/** Versions count 1, 2, 3 … in the order of `registeredAt`, then id. */
function versionOf(all: readonly SchemaRecord[], subject: string, id: number): number {
  const versions = all
    .filter((record) => record.subject === subject)
    .sort((a, b) => a.registeredAt - b.registeredAt || a.id - b.id);
  return versions.findIndex((record) => record.id === id) + 1;
}

function textOf(wanted: readonly WantedSchema[], subject: string): string {
  const found = wanted.find((schema) => schema.subject === subject);
  if (found === undefined) throw new Error(`${subject} is imported and not wanted`);
  return found.text;
}

async function fetchText(options: BuiltInRegistryOptions, id: number, signal: AbortSignal): Promise<string | null> {
  return withSchemas(options, signal, (table) => {
    const found = [...table.values()].find((record) => record.id === id);
    return Promise.resolve(found?.schema ?? null);
  });
}

/** Reads the topic to its end, lends the table, and closes it. */
async function withSchemas<T>(
  { topicPrefix, kafka, clock, logger }: BuiltInRegistryOptions,
  signal: AbortSignal,
  use: (table: Table<SchemaRecord>) => Promise<T>,
): Promise<T> {
  const table = new Table<SchemaRecord>({
    kafka,
    topic: topicOf(topicPrefix, 'schemas'),
    partitions: [0],
    decode: (_key, record) => decodeSchemaRecord(record.value ?? Buffer.alloc(0)),
    clock,
    logger,
  });
  try {
    await table.start(signal);
    return await use(table);
  } finally {
    await table.stop();
  }
}
