import { SchemaCatalogue } from '../../../core/kafka/schema-catalogue.ts';
import { decodeSchemaRecord, encodeSchemaRecord, type SchemaRecord } from '../../../core/kafka/schema-record.ts';

const record = (subject: string, id: number, registeredAt: number, rest: Partial<SchemaRecord> = {}): SchemaRecord => ({
  subject,
  id,
  schemaType: 'PROTOBUF',
  schema: `text ${id}`,
  references: [],
  registeredAt,
  ...rest,
});
const references = [{ name: 'gnmi/gnmi.proto', subject: 'gnmi/gnmi.proto', version: 1 }];

// Out of order on purpose: compaction and partitions know nothing of versions.
const catalogue = new SchemaCatalogue([
  record('h.state-holdfast.v1.Leaf', 30, 3_000, { references }),
  record('h.state-holdfast.v1.Leaf', 10, 1_000),
  record('gnmi/gnmi.proto', 40, 500),
  record('h.state-holdfast.v1.Leaf', 21, 2_000),
  record('h.state-holdfast.v1.Leaf', 20, 2_000),
  record('h.copy-holdfast.v1.Leaf', 10, 9_000),
  record('foreign-value', 50, 1, { schemaType: 'AVRO', schema: '"string"' }),
]);
const leaf = 'h.state-holdfast.v1.Leaf';

test.each<{ path: string; body: unknown }>([
  { path: '/schemas/types', body: ['PROTOBUF'] },
  { path: '/schemas/ids/10', body: { schemaType: 'PROTOBUF', schema: 'text 10' } },
  { path: '/schemas/ids/10?fetchMaxId=false&subject=x', body: { schemaType: 'PROTOBUF', schema: 'text 10' } },
  { path: '/schemas/ids/30', body: { schemaType: 'PROTOBUF', references, schema: 'text 30' } },
  { path: '/schemas/ids/50', body: { schema: '"string"' } },
  {
    path: '/schemas/ids/10/versions',
    body: [
      { subject: leaf, version: 1 },
      { subject: 'h.copy-holdfast.v1.Leaf', version: 1 },
    ],
  },
  { path: '/schemas/ids/21/versions', body: [{ subject: leaf, version: 3 }] },
  { path: '/subjects', body: ['foreign-value', 'gnmi/gnmi.proto', 'h.copy-holdfast.v1.Leaf', leaf] },
  { path: '/subjects/', body: ['foreign-value', 'gnmi/gnmi.proto', 'h.copy-holdfast.v1.Leaf', leaf] },
  { path: `/subjects/${leaf}/versions`, body: [1, 2, 3, 4] },
  { path: '/subjects/gnmi%2Fgnmi.proto/versions', body: [1] },
  {
    path: `/subjects/${leaf}/versions/1`,
    body: { subject: leaf, version: 1, id: 10, schemaType: 'PROTOBUF', schema: 'text 10' },
  },
  {
    path: `/subjects/${leaf}/versions/2`,
    body: { subject: leaf, version: 2, id: 20, schemaType: 'PROTOBUF', schema: 'text 20' },
  },
  ...['latest', '-1', '4'].map((version) => ({
    path: `/subjects/${leaf}/versions/${version}`,
    body: { subject: leaf, version: 4, id: 30, schemaType: 'PROTOBUF', references, schema: 'text 30' },
  })),
  { path: '/config', body: { compatibilityLevel: 'FULL_TRANSITIVE' } },
  { path: `/config/${leaf}?defaultToGlobal=true`, body: { compatibilityLevel: 'FULL_TRANSITIVE' } },
  { path: '/mode', body: { mode: 'READONLY' } },
  { path: `/mode/${leaf}?defaultToGlobal=true`, body: { mode: 'READONLY' } },
])('GET $path answers', ({ path, body }) => {
  expect(catalogue.answer('GET', path)).toEqual({ status: 200, body });
  expect(catalogue.answer('HEAD', path)).toEqual({ status: 200, body });
});

test.each([
  { path: '/schemas/ids/99', status: 404, code: 40403, message: 'Schema 99 not found' },
  { path: '/schemas/ids/99/versions', status: 404, code: 40403, message: 'Schema 99 not found' },
  { path: '/subjects/none/versions', status: 404, code: 40401, message: "Subject 'none' not found." },
  { path: '/subjects/none/versions/1', status: 404, code: 40401, message: "Subject 'none' not found." },
  { path: `/subjects/${leaf}/versions/5`, status: 404, code: 40402, message: 'Version 5 not found.' },
  { path: `/subjects/${leaf}/versions/0`, status: 422, code: 42202, message: "The specified version '0' is not" },
  { path: `/subjects/${leaf}/versions/first`, status: 422, code: 42202, message: "The specified version 'first' is" },
  { path: `/config/${leaf}`, status: 404, code: 40408, message: `Subject '${leaf}' does not have subject-level comp` },
  { path: `/mode/${leaf}`, status: 404, code: 40409, message: `Subject '${leaf}' does not have subject-level mode` },
  { path: '/schemas', status: 404, code: 404, message: 'HTTP 404 Not Found' },
  { path: '/schemas/ids/abc', status: 404, code: 404, message: 'HTTP 404 Not Found' },
  { path: '/schemas/ids/10/other', status: 404, code: 404, message: 'HTTP 404 Not Found' },
  { path: '/', status: 404, code: 404, message: 'HTTP 404 Not Found' },
  { path: '/subjects/%E0%A4%A/versions', status: 404, code: 40401, message: "Subject '%E0%A4%A' not found." },
])('GET $path is refused with $code', ({ path, status, code, message }) => {
  const answer = catalogue.answer('GET', path);
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({ error_code: code });
  expect((answer.body as { message: string }).message).toContain(message);
});

test.each([
  ['POST', `/subjects/${leaf}/versions`],
  ['POST', `/subjects/${leaf}`],
  ['DELETE', `/subjects/${leaf}`],
  ['DELETE', `/subjects/${leaf}/versions/1`],
  ['PUT', '/config'],
  ['PUT', `/config/${leaf}`],
  ['PUT', '/mode'],
])('%s %s is a write and refused', (method, path) => {
  expect(catalogue.answer(method, path)).toMatchObject({ status: 405, body: { error_code: 42205 } });
});

test('a catalogue without records answers', () => {
  const none = new SchemaCatalogue([]);
  expect(none.answer('GET', '/subjects')).toEqual({ status: 200, body: [] });
});

describe('records of topic schemas', () => {
  test('are plain JSON under subject/id and read back', () => {
    const original = record(leaf, 30, 3_000, { references });
    const { key, value } = encodeSchemaRecord(original);
    expect(key.toString()).toBe(`${leaf}/30`);
    expect(JSON.parse(value.toString())).toEqual(original);
    expect(decodeSchemaRecord(value)).toEqual(original);
  });

  test.each(['', 'no json', 'null', '[]', '{"subject":"s","id":"1","schema":"x"}'])('%j is refused by name', (text) => {
    expect(() => decodeSchemaRecord(Buffer.from(text))).toThrow('not a schema');
  });
});

describe('format=serialized', () => {
  const texts = new SchemaCatalogue([
    record('a.proto', 60, 1, { schema: 'syntax = "proto3"; package a; message A {}' }),
    record('b', 61, 2, {
      schema: 'syntax = "proto3"; package b; import "a.proto"; message B { a.A a = 1; }',
      references: [{ name: 'a.proto', subject: 'a.proto', version: 1 }],
    }),
    record('c', 62, 3),
    record('d', 63, 4, { schemaType: 'AVRO', schema: '"string"' }),
  ]);

  test.each(['/schemas/ids/61', '/subjects/b/versions/1'])('%s is the compiled schema in base64', (path) => {
    const { status, body } = texts.answer('GET', `${path}?deleted=true&format=serialized`);
    expect(status).toBe(200);
    const { schema, references } = body as { schema: string; references: unknown };
    expect(references).toHaveLength(1);
    const compiled = Buffer.from(schema, 'base64').toString('latin1');
    for (const name of ['a.proto', '.a.A', 'proto3']) expect(compiled).toContain(name);
  });

  test('a text that does not compile says so; other types of schema have no such form', () => {
    expect(texts.answer('GET', '/schemas/ids/62?format=serialized')).toMatchObject({
      status: 422,
      body: { error_code: 42201 },
    });
    expect(texts.answer('GET', '/schemas/ids/63?format=serialized').body).toEqual({ schema: '"string"' });
  });
});
