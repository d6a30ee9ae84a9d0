/** The read-only schema registry API over the topic `schemas`, at the root as stock deserializers expect it. */
import { z } from 'zod';
import { SchemaCatalogue, schemaContentType } from '../../core/kafka/schema-catalogue.ts';
import { type SchemaRecord } from '../../core/kafka/schema-record.ts';
import { type Route } from '../route.ts';
import { type RouteDescription } from '../route-description.ts';

const roots = ['schemas', 'subjects', 'config', 'mode', 'compatibility'];

const registryError = z.object({ error_code: z.int(), message: z.string() });
const answer = (description: string, body: z.ZodType) => ({ description, body, contentType: schemaContentType });

const about: RouteDescription = {
  group: 'operations',
  summary: 'Schema registry in the Confluent shape, read-only',
  description:
    '`/schemas/ids/{id}[/versions]`, `/schemas/types`, `/subjects[/{subject}/versions[/{version}]]`, `/config`, `/mode`',
  answers: {
    200: answer('As the Confluent registry answers', z.unknown()),
    404: answer('No such schema, subject or version', registryError),
    405: answer('Schemas come with the product, not with a request', registryError),
    422: answer('Not a version', registryError),
  },
  codes: [],
};

/** `records` is read at each request: there are a dozen, and they change with a release. */
export function schemaRoutes(records: () => Iterable<SchemaRecord>): Route[] {
  return roots.map((root) => ({
    method: 'ANY',
    path: `/${root}{/*rest}`,
    parameters: null,
    about,
    answer: (request) => {
      const { status, body } = new SchemaCatalogue(records()).answer(request.method, request.url);
      return { status, body: JSON.stringify(body), contentType: schemaContentType };
    },
  }));
}
