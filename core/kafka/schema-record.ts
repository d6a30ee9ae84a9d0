import { HoldfastError } from '../errors.ts';

/**
 * A record of topic `schemas`: one schema text under one subject. Key `subject/id`, value plain JSON, so that a reader
 * needs no schema to read the schemas.
 */
export interface SchemaRecord {
  readonly subject: string;
  readonly id: number;
  readonly schemaType: string;
  readonly schema: string;
  readonly references: readonly SchemaReference[];
  /** Unix milliseconds, the writer's clock. Versions of a subject are numbered in this order, then by id. */
  readonly registeredAt: number;
}

export interface SchemaReference {
  /** As the `import` line of the schema spells it. */
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

export function schemaKey(subject: string, id: number): string {
  return `${subject}/${id}`;
}

export function encodeSchemaRecord(record: SchemaRecord): { key: Buffer; value: Buffer } {
  const { subject, id, schemaType, schema, references, registeredAt } = record;
  return {
    key: Buffer.from(schemaKey(subject, id)),
    value: Buffer.from(JSON.stringify({ subject, id, schemaType, schema, references, registeredAt })),
  };
}

/** @throws HoldfastError `SCHEMA_COLLISION` when the value is not a schema record: something else writes to the topic. */
export function decodeSchemaRecord(value: Buffer): SchemaRecord {
  const fields = parseObject(value);
  const { subject, id, schemaType, schema, references, registeredAt } = fields;
  if (typeof subject !== 'string' || typeof id !== 'number' || typeof schema !== 'string') throw foreign(value);
  return {
    subject,
    id,
    schema,
    schemaType: typeof schemaType === 'string' ? schemaType : 'PROTOBUF',
    references: Array.isArray(references) ? references.filter(isReference) : [],
    registeredAt: typeof registeredAt === 'number' ? registeredAt : 0,
  };
}

function parseObject(value: Buffer): Partial<Record<keyof SchemaRecord, unknown>> {
  try {
    const parsed: unknown = JSON.parse(value.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Falls through: not JSON is as foreign as JSON of another shape.
  }
  throw foreign(value);
}

function isReference(value: unknown): value is SchemaReference {
  if (typeof value !== 'object' || value === null) return false;
  const { name, subject, version } = value as Partial<Record<keyof SchemaReference, unknown>>;
  return typeof name === 'string' && typeof subject === 'string' && typeof version === 'number';
}

function foreign(value: Buffer): HoldfastError {
  const begin = value.subarray(0, 40).toString('utf8');
  return new HoldfastError(
    'SCHEMA_COLLISION',
    `the topic of schemas holds a record that is not a schema (${begin}…): remove it, or choose another topic prefix`,
  );
}
