/**
 * The API document: OpenAPI 3.1 out of what the routes tell about themselves. Pure.
 *
 * D1. Every route is in it and nothing else, each operation with every status it answers with.
 * D2. A body is named under `components/schemas`, so that generators give it that name.
 */
import { z } from 'zod';
import { type ErrorCode } from '../core/errors.ts';
import { problemContentType, problemDocument } from './answers/problem.ts';
import { documents } from './documents.ts';
import { problemStatus } from './problem.ts';
import { type Route } from './route.ts';
import { type AnswerDescription, answerHeaders, type QueryParameter, routeGroups } from './route-description.ts';

export type Json = Readonly<Record<string, unknown>>;

export interface ApiDocument {
  readonly openapi: '3.1.0';
  readonly info: Json;
  readonly servers: readonly Json[];
  readonly tags: readonly Json[];
  /** By path template, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly OperationParameter[];
  readonly requestBody?: Json;
  readonly responses: Readonly<Record<string, Json>>;
}

export interface OperationParameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: true;
  readonly description: string;
  readonly schema: unknown;
  readonly example?: unknown;
  readonly style?: 'form';
  readonly explode?: true;
}

/** What any route may answer with, whatever it does. */
const everywhere: readonly ErrorCode[] = ['PARAMETER_INVALID', 'INTERNAL'];

/** Parts of paths, by their names in the routes. */
const pathParts: Readonly<Record<string, Omit<OperationParameter, 'name' | 'in'>>> = {
  name: { description: 'Name of the device or profile', schema: { type: 'string' }, example: 'leaf-1' },
  id: { description: 'Instance', schema: { type: 'string' }, example: 'ingest-1' },
  slot: { description: 'Slot', schema: { type: 'integer', minimum: 0 }, example: 7 },
  rest: { description: 'The rest of the path, slashes included', schema: { type: 'string' } },
};

export function apiDocument(routes: readonly Route[], version: string): ApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    for (const template of templatesOf(route.path)) {
      const method = route.method === 'ANY' ? 'get' : route.method.toLowerCase();
      (paths[template] ??= {})[method] = operation(route, template, method);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version,
      description:
        'State of network devices with its age and position. Errors are problem documents (RFC 9457) with a code; 64-bit integers, decimals and ns times are texts.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(routeGroups).map(([name, description]) => ({ name, description })),
    paths, // D1
    components: { schemas: schemas() },
  };
}

/** `/a/:name\:drain` is `/a/{name}:drain`; `/a{/*rest}` is both `/a` and `/a/{rest}`. */
export function templatesOf(path: string): string[] {
  const optional = /\{\/\*(\w+)\}$/.exec(path);
  const plain = path
    .slice(0, optional?.index)
    .replace(/(?<!\\):(\w+)/g, '{$1}')
    .replaceAll('\\:', ':');
  return optional === null ? [plain] : [plain, `${plain}/{${optional[1] ?? ''}}`];
}

function operation(route: Route, template: string, method: string): Operation {
  const { about } = route;
  const parts = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => pathPart(name));
  const query = Object.entries(route.parameters ?? {}).map(([name, parameter]) => queryParameter(name, parameter));
  const headers = Object.entries(about.requestHeaders ?? {}).map(([name, description]): OperationParameter => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
  const body = about.body && {
    required: true,
    content: { 'application/json': { schema: reference(about.body.schema), example: about.body.example } },
  };
  return {
    operationId: `${method}${template.replace(/[^A-Za-z0-9]+/g, '_').replace(/_$/, '') || '_home'}`,
    tags: [about.group],
    summary: about.summary,
    ...(about.description !== undefined && { description: about.description }),
    parameters: [...parts, ...query, ...headers],
    ...(body && { requestBody: body }),
    responses: responsesOf(route),
  };
}

function pathPart(name: string): OperationParameter {
  const part = pathParts[name];
  if (part === undefined) throw new Error(`no description of the path part ${name}`);
  return { name, in: 'path', required: true, ...part };
}

function queryParameter(name: string, { description, schema, example }: QueryParameter): OperationParameter {
  const repeated = schema instanceof z.ZodArray;
  const { $schema: _, ...plain } = z.toJSONSchema(schema, { io: 'input' });
  return {
    name,
    in: 'query',
    description,
    schema: plain,
    ...(example !== undefined && { example: repeated ? [example] : example }),
    ...(repeated && { style: 'form', explode: true }),
  };
}

function responsesOf({ about }: Route): Record<string, Json> {
  const responses: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(about.answers)) responses[status] = responseOf(answer);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...about.codes, ...everywhere])) {
    const status = problemStatus(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const passesOn = about.answers[200]?.headers?.includes('Holdfast-Divert') ?? false;
  for (const [status, codes] of byStatus) responses[status] = problemResponse(status, codes, passesOn);
  return responses;
}

function responseOf({ description, body, contentType = 'application/json', headers }: AnswerDescription): Json {
  return {
    description,
    ...headersOf(headers ?? []),
    ...(body !== null && { content: { [contentType]: { schema: reference(body) } } }),
  };
}

/** `passesOn`: the problem may be that of another instance. */
function problemResponse(status: number, codes: readonly ErrorCode[], passesOn: boolean): Json {
  const retry = status === 503 || status === 429;
  const schema = { allOf: [reference(problemDocument), { properties: { code: { enum: codes } } }] };
  return {
    description: codes.join(', '),
    ...headersOf([...(retry ? (['Retry-After'] as const) : []), ...(passesOn ? (['Holdfast-Divert'] as const) : [])]),
    content: { [problemContentType]: { schema } },
  };
}

/** Whatever the answer, it says whose it is. */
function headersOf(names: readonly (keyof typeof answerHeaders)[]): Json {
  const header = (name: keyof typeof answerHeaders) => ({
    description: answerHeaders[name],
    schema: { type: 'string' },
  });
  return {
    headers: Object.fromEntries((['Holdfast-Served-By', ...names] as const).map((name) => [name, header(name)])),
  };
}

/** D2. What has no name (texts, pages) stands where it is used. */
function reference(schema: z.ZodType): unknown {
  const id = documents.get(schema)?.id;
  if (id !== undefined) return { $ref: `#/components/schemas/${id}` };
  const { $schema: _, ...plain } = z.toJSONSchema(schema, { io: 'input' });
  return plain;
}

/**
 * `io: 'input'`: what may be left out on the way in is left out on the way out too. Bodies are closed (a misspelt field
 * is refused); answers are open, so that a client of today reads the answers of tomorrow.
 */
function schemas(): Record<string, unknown> {
  const all = z.toJSONSchema(documents, {
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ zodSchema, jsonSchema }) => {
      const id = documents.get(zodSchema)?.id;
      if (id === 'Device' || id === 'Profile') delete jsonSchema.additionalProperties; // made from those of bodies
    },
  }).schemas;
  return Object.fromEntries(
    Object.entries(all).map(([id, { $schema: _s, $id: _i, ...schema }]) => [id, schema] as const),
  );
}
