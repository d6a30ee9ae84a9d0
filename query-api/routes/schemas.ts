/** The read-only schema registry API over the topic `schemas`, at the root as stock deserializers expect it. */
import { SchemaCatalogue, schemaContentType } from '../../core/kafka/schema-catalogue.ts';
import { type SchemaRecord } from '../../core/kafka/schema-record.ts';
import { type Route } from '../route.ts';

const roots = ['schemas', 'subjects', 'config', 'mode', 'compatibility'];

/** `records` is read at each request: there are a dozen, and they change with a release. */
export function schemaRoutes(records: () => Iterable<SchemaRecord>): Route[] {
  return roots.map((root) => ({
    method: 'ANY',
    path: `/${root}{/*rest}`,
    parameters: null,
    answer: (request) => {
      const { status, body } = new SchemaCatalogue(records()).answer(request.method, request.url);
      return { status, body: JSON.stringify(body), contentType: schemaContentType };
    },
  }));
}
