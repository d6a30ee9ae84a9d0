/** The schema routes against the client that most Node programs use, over a real socket. */
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type SchemaRecord } from '../../../core/kafka/schema-record.ts';
import { wantedSchemas } from '../../../core/kafka/schema-set.ts';
import { builtInSchemaId } from '../../../schemas/schema-id.ts';
import { type Api, startApi } from '../api-fixture.ts';

const schemas: SchemaRecord[] = wantedSchemas('holdfast.').map(({ subject, text, imports }, index) => ({
  subject,
  id: builtInSchemaId(text),
  schemaType: 'PROTOBUF',
  schema: text,
  references: imports.map((imported) => ({ ...imported, version: 1 })),
  registeredAt: index,
}));

let api: Api;
let registry: SchemaRegistry;
beforeAll(async () => {
  api = await startApi({ schemas });
  registry = new SchemaRegistry({ host: `http://${api.server.address}`, retry: { retries: 0 } });
});
afterAll(() => api.server.stop());

test.each(schemas.map(({ subject, id }) => [subject, id] as const))(
  'getSchema finds and parses %s with what it imports',
  async (_subject, id) => {
    expect(await registry.getSchema(id)).toMatchObject({ message: expect.anything() as unknown });
  },
);

test('a schema says the fields of its record', async () => {
  const { id } = schemas.find(({ subject }) => subject === 'holdfast.status-holdfast.v1.DeviceStatus')!;
  const { message } = (await registry.getSchema(id)) as unknown as { message: { fields: Record<string, object> } };
  expect(Object.keys(message.fields)).toEqual(expect.arrayContaining(['device', 'state']));
});

test('ids by subject, the latest and by number; subjects with a slash are found', async () => {
  for (const { subject, id } of schemas) {
    expect(await registry.getLatestSchemaId(subject)).toBe(id);
    expect(await registry.getRegistryId(subject, 1)).toBe(id);
  }
});

test('the list of subjects and the uses of an id have the shape of the API', async () => {
  expect(JSON.parse((await api.ask('/subjects')).text)).toEqual(schemas.map(({ subject }) => subject).sort());
  const { id } = schemas.find(({ subject }) => subject === 'holdfast.state-holdfast.v1.Marker')!;
  expect(JSON.parse((await api.ask(`/schemas/ids/${id}/versions`)).text)).toEqual([
    { subject: 'holdfast.telemetry-holdfast.v1.Marker', version: 1 },
    { subject: 'holdfast.state-holdfast.v1.Marker', version: 1 },
  ]);
});

test('what is not there, and every write, is refused in the words of the API', async () => {
  await expect(registry.getSchema(1)).rejects.toThrow('Schema 1 not found');
  await expect(registry.getLatestSchemaId('nope')).rejects.toThrow("Subject 'nope' not found.");
  const schema = { type: 'PROTOBUF', schema: 'syntax = "proto3"; message A {}' } as never;
  await expect(registry.register(schema, { subject: 'mine' })).rejects.toThrow();
  expect(JSON.parse((await api.ask('/subjects')).text)).not.toContain('mine');
});
