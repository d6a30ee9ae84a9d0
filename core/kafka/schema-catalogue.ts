import { fileDescriptor, type ProtoText } from '../../schemas/file-descriptor.ts';
import { messageOf } from '../errors.ts';
import { type SchemaRecord } from './schema-record.ts';

/**
 * The read-only half of the Confluent schema registry API over the records of topic `schemas`, so that a stock
 * deserializer pointed at us finds its schemas. Pure: whoever serves HTTP mounts `answer` and sends `contentType`.
 *
 * Versions of a subject are 1, 2, 3 … in the order of `registeredAt`, then id. Writes are refused: schemas come with the
 * product, not with a request.
 */
export interface SchemaAnswer {
  readonly status: number;
  /** To be sent as JSON. */
  readonly body: unknown;
}

export const schemaContentType = 'application/vnd.schemaregistry.v1+json';

interface Version {
  readonly version: number;
  readonly record: SchemaRecord;
}

const versionMax = 2_147_483_647;

export class SchemaCatalogue {
  readonly #subjects = new Map<string, Version[]>();
  readonly #ids = new Map<number, SchemaRecord>();

  constructor(records: Iterable<SchemaRecord>) {
    const inOrder = [...records].sort((a, b) => a.registeredAt - b.registeredAt || a.id - b.id);
    for (const record of inOrder) {
      const versions = this.#subjects.get(record.subject) ?? [];
      this.#subjects.set(record.subject, versions);
      versions.push({ version: versions.length + 1, record });
      if (!this.#ids.has(record.id)) this.#ids.set(record.id, record);
    }
  }

  /** `path` starts at the root of the API and may carry a query; its parts are percent-encoded, as they arrive. */
  answer(method: string, path: string): SchemaAnswer {
    const [route = '', query = ''] = path.split('?', 2);
    const parts = route
      .split('/')
      .filter((part) => part !== '')
      .map(decodePart);
    if (!isKnownRoute(parts)) return notFound();
    if (method !== 'GET' && method !== 'HEAD') return refusedWrite(parts);
    const asked = new URLSearchParams(query);
    const defaultToGlobal = asked.get('defaultToGlobal') === 'true';
    const serialized = asked.get('format') === 'serialized';
    switch (parts[0] ?? '') {
      case 'schemas':
        if (parts[1] === 'types') return { status: 200, body: ['PROTOBUF'] };
        return this.#ofId(parts[2] ?? '', parts[3], serialized);
      case 'subjects':
        return this.#ofSubject(parts, serialized);
      case 'config':
        return this.#level(parts[1], defaultToGlobal, { compatibilityLevel: 'FULL_TRANSITIVE' }, noConfig);
      default:
        return this.#level(parts[1], defaultToGlobal, { mode: 'READONLY' }, noMode);
    }
  }

  #ofId(text: string, below: string | undefined, serialized: boolean): SchemaAnswer {
    const record = this.#ids.get(Number(text));
    if (record === undefined) return problem(404, 40403, `Schema ${text} not found`);
    if (below === undefined) return this.#schema(record, serialized, {});
    const uses = [...this.#subjects.values()].flat().filter((version) => version.record.id === record.id);
    return { status: 200, body: uses.map((use) => ({ subject: use.record.subject, version: use.version })) };
  }

  #ofSubject([, subject, , wanted]: readonly string[], serialized: boolean): SchemaAnswer {
    if (subject === undefined) return { status: 200, body: [...this.#subjects.keys()].sort() };
    const versions = this.#subjects.get(subject);
    if (versions === undefined) return problem(404, 40401, `Subject '${subject}' not found.`);
    if (wanted === undefined) return { status: 200, body: versions.map((entry) => entry.version) };
    if (!isVersion(wanted)) return badVersion(wanted);
    const found = isLatest(wanted) ? versions.at(-1) : versions[Number(wanted) - 1];
    if (found === undefined) return problem(404, 40402, `Version ${wanted} not found.`);
    const { version, record } = found;
    return this.#schema(record, serialized, { subject, version, id: record.id });
  }

  /** `format=serialized`, which Python's stock deserializer asks for, is the compiled schema in base64. */
  #schema(record: SchemaRecord, serialized: boolean, more: object): SchemaAnswer {
    if (!serialized || record.schemaType !== 'PROTOBUF')
      return { status: 200, body: { ...more, ...schemaBody(record) } };
    const imports = new Map<string, ProtoText>();
    this.#collectImports(record, imports);
    try {
      const schema = fileDescriptor({ name: '', text: record.schema }, [...imports.values()]).toString('base64');
      return { status: 200, body: { ...more, ...schemaBody({ ...record, schema }) } };
    } catch (thrown) {
      return problem(422, 42201, `Schema ${record.id} cannot be serialized: ${messageOf(thrown)}`);
    }
  }

  #collectImports(record: SchemaRecord, into: Map<string, ProtoText>): void {
    for (const { name, subject, version } of record.references) {
      const imported = this.#subjects.get(subject)?.[version - 1]?.record;
      if (imported === undefined || into.has(name)) continue;
      into.set(name, { name, text: imported.schema });
      this.#collectImports(imported, into);
    }
  }

  #level(subject: string | undefined, toGlobal: boolean, global: object, none: (subject: string) => SchemaAnswer) {
    return subject === undefined || toGlobal ? { status: 200, body: global } : none(subject);
  }
}

/** AVRO is the API's default and is never named; an empty list of references neither. */
function schemaBody(record: SchemaRecord): object {
  return {
    ...(record.schemaType === 'AVRO' ? {} : { schemaType: record.schemaType }),
    ...(record.references.length === 0 ? {} : { references: record.references }),
    schema: record.schema,
  };
}

function isKnownRoute(parts: readonly string[]): boolean {
  const [first = '', second, third, fourth] = parts;
  switch (first) {
    case 'schemas':
      if (second === 'types') return parts.length === 2;
      return (
        second === 'ids' && isDigits(third) && (parts.length === 3 || (fourth === 'versions' && parts.length === 4))
      );
    case 'subjects':
      return parts.length <= 4 && (third === undefined || third === 'versions');
    case 'config':
    case 'mode':
      return parts.length <= 2;
    default:
      return false;
  }
}

/** `POST /subjects/S` looks a schema up and is refused with the writes: it needs a body, and GET answers the same. */
function refusedWrite(parts: readonly string[]): SchemaAnswer {
  const what = parts[0] === 'subjects' && parts[1] !== undefined ? `Subject ${parts[1]}` : 'This registry';
  return problem(405, 42205, `${what} is in read-only mode`);
}

function isDigits(text: string | undefined): boolean {
  return text !== undefined && /^\d+$/.test(text);
}

function isLatest(text: string): boolean {
  return text === 'latest' || text === '-1';
}

function isVersion(text: string): boolean {
  return isLatest(text) || (isDigits(text) && Number(text) >= 1 && Number(text) <= versionMax);
}

function badVersion(text: string): SchemaAnswer {
  const allowed = 'Allowed values are between [1, 2^31-1] and the string "latest"';
  return problem(422, 42202, `The specified version '${text}' is not a valid version id. ${allowed}`);
}

function noConfig(subject: string): SchemaAnswer {
  return problem(404, 40408, `Subject '${subject}' does not have subject-level compatibility configured`);
}

function noMode(subject: string): SchemaAnswer {
  return problem(404, 40409, `Subject '${subject}' does not have subject-level mode configured`);
}

function notFound(): SchemaAnswer {
  return problem(404, 404, 'HTTP 404 Not Found');
}

function problem(status: number, error_code: number, message: string): SchemaAnswer {
  return { status, body: { error_code, message } };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // no such escape: then no subject has that name
  }
}
