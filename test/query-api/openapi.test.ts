import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ApiDocument, type Operation, templatesOf } from '../../query-api/openapi.ts';
import { schemaProblems } from '../support/json-schema.ts';
import { type Api, startApi } from './api-fixture.ts';
import { answerProblems, type AnswerSeen } from './described-answer.ts';

let api: Api;
let document: ApiDocument;
beforeAll(async () => {
  api = await startApi();
  document = JSON.parse((await api.ask('/api/v1/openapi.json')).text) as ApiDocument;
});
afterAll(() => api.server.stop());

const operations = (): { path: string; method: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

/** Every object in the document. */
function* nodes(node: unknown, where = '#'): Generator<{ where: string; node: Record<string, unknown> }> {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) yield { where, node: node as Record<string, unknown> };
  for (const [name, inner] of Object.entries(node)) yield* nodes(inner, `${where}/${name}`);
}

describe('the document', () => {
  test('D1: holds every route and nothing else', () => {
    const wanted = api.routes.flatMap(({ path, method }) =>
      templatesOf(path).map((template) => `${method === 'ANY' ? 'GET' : method} ${template}`),
    );
    expect(
      operations()
        .map(({ path, method }) => `${method.toUpperCase()} ${path}`)
        .sort(),
    ).toEqual(wanted.sort());
    expect(wanted).toContain('POST /api/v1/instances/{id}:drain');
    expect(wanted).toContain('GET /api/v1/openapi.json');
  });

  test('is OpenAPI 3.1 in what the standard demands of it', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    const tags = document.tags.map(({ name }) => name);
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations()) {
      expect(path).toMatch(/^\//);
      expect(['get', 'put', 'post', 'delete']).toContain(method);
      for (const tag of operation.tags) expect(tags).toContain(tag);
      const named = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
      expect(new Set(named).size).toBe(named.length);
      const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every(({ required }) => required === true)).toBe(true);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(status).toMatch(/^[2-5]\d\d$/);
        expect(response['description']).toMatch(/./);
      }
      expect(Object.keys(operation.responses).some((status) => status < '300')).toBe(true);
      expect(operation.requestBody === undefined).toBe(
        !['put', 'post'].includes(method) || /:(drain|resume)$/.test(path),
      );
    }
  });

  test('every reference leads somewhere, and every named schema is used', () => {
    const used = new Set<string>();
    for (const { where, node } of nodes(document)) {
      if (typeof node['$ref'] !== 'string') continue;
      const [, name = ''] = /^#\/components\/schemas\/(\w+)$/.exec(node['$ref']) ?? [];
      expect({ where, known: Object.hasOwn(document.components.schemas, name) }).toEqual({ where, known: true });
      used.add(name);
    }
    expect([...used].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });

  test('nothing of a schema is lost: each has a type, a reference or a choice, and no foreign keyword', () => {
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      expect({ name, type: (schema as { type?: string }).type }).toEqual({ name, type: 'object' });
      expect(() =>
        schemaProblems(schema as object as Record<string, unknown>, {}, document.components.schemas),
      ).not.toThrow();
      expect(JSON.stringify(schema)).not.toContain('"$id"');
    }
  });

  test('the examples of bodies are as their schemas say, and are taken', async () => {
    for (const { path, method, operation } of operations()) {
      if (operation.requestBody === undefined) continue;
      const { content } = operation.requestBody as {
        content: Record<string, { schema: Record<string, unknown>; example: unknown }>;
      };
      const { schema, example } = content['application/json']!;
      expect({ path, method, problems: schemaProblems(schema, example, document.components.schemas) }).toEqual({
        path,
        method,
        problems: [],
      });
    }
    const exampleOf = (path: string, method: string): unknown =>
      (document.paths[path]![method]!.requestBody as { content: Record<string, { example: unknown }> }).content[
        'application/json'
      ]!.example;
    const profile = exampleOf('/api/v1/profiles/{name}', 'put');
    expect((await api.send('PUT', '/api/v1/profiles/interfaces', profile)).status).toBe(201);
    const device = exampleOf('/api/v1/devices/{name}', 'put');
    expect((await api.send('PUT', '/api/v1/devices/leaf-1', device)).status).toBe(201);
    const many = exampleOf('/api/v1/devices:import', 'post');
    expect((await api.send('POST', '/api/v1/devices:import', many)).status).toBe(200);
  });

  test('parameters have the ranges of the settings', () => {
    const { parameters } = document.paths['/api/v1/state']!['get']!;
    const schemaOf = (name: string) => parameters.find((parameter) => parameter.name === name)?.schema;
    expect(schemaOf('limit')).toEqual({ type: 'integer', minimum: 1, maximum: 1_000 });
    expect(schemaOf('path')).toEqual({ type: 'array', items: { type: 'string' }, maxItems: 4 });
    expect(schemaOf('encoding')).toEqual({ type: 'string', enum: ['rfc7951', 'native', 'typed'] });
  });

  test('says of every change how to say who makes it', () => {
    const changing = operations().filter(({ path, method }) => method !== 'get' && path.startsWith('/api/v1/'));
    const without = changing.filter(
      ({ operation }) => !operation.parameters.some(({ name }) => name === 'Holdfast-User'),
    );
    expect([changing.length, without.map(({ path }) => path)]).toEqual([8, []]);
  });

  test('has a tag, and 304 for who knows it', async () => {
    const first = await api.ask('/api/v1/openapi.json');
    const etag = first.headers.get('etag')!;
    const again = await api.ask('/api/v1/openapi.json', { headers: { 'if-none-match': etag } });
    expect([first.status, again.status, again.text, again.headers.get('etag')]).toEqual([200, 304, '', etag]);
    const other = await api.ask('/api/v1/openapi.json', { headers: { 'if-none-match': '"other"' } });
    expect(other.status).toBe(200);
  });
});

test.each([
  ['/', ['/']],
  ['/a/:name', ['/a/{name}']],
  ['/a/:id\\:drain', ['/a/{id}:drain']],
  ['/a\\:import', ['/a:import']],
  ['/a{/*rest}', ['/a', '/a/{rest}']],
])('%s is %p in the document', (path, templates) => {
  expect(templatesOf(path)).toEqual(templates);
});

describe('the check that every answer of these tests goes through', () => {
  let seen: AnswerSeen;
  beforeAll(async () => {
    const { status, headers, text } = await api.ask('/api/v1/cluster');
    seen = { method: 'GET', url: '/api/v1/cluster', status, headers, text };
  });
  const changed = (change: (body: { data: Record<string, unknown> }) => void): AnswerSeen => {
    const body = JSON.parse(seen.text) as { data: Record<string, unknown> };
    change(body);
    return { ...seen, text: JSON.stringify(body) };
  };
  const problem = (code: string): AnswerSeen => ({
    ...seen,
    url: '/api/v1/devices/a',
    status: 404,
    headers: new Headers({ 'content-type': 'application/problem+json' }),
    text: JSON.stringify({ type: 'about:blank', title: 't', status: 404, detail: 'd', code }),
  });

  test('passes what is described', () => {
    expect(answerProblems(document, seen)).toEqual([]);
    expect(answerProblems(document, problem('DEVICE_UNKNOWN'))).toEqual([]);
  });

  test.each<[string, () => AnswerSeen, RegExp]>([
    ['a member', () => changed(({ data }) => (data['more'] = 1)), /more is not described/],
    ['a missing member', () => changed(({ data }) => delete data['kafka']), /kafka is missing/],
    ['another type', () => changed(({ data }) => (data['stalenessMs'] = '1')), /is not number or null/],
    ['another word', () => changed(({ data }) => (data['kafka'] = 'fine')), /is none of ok, unreachable/],
    ['a status', () => ({ ...seen, status: 299 }), /answers 299/],
    [
      'a header',
      () => ({ ...seen, headers: new Headers({ ...Object.fromEntries(seen.headers), server: 'x' }) }),
      /header server/,
    ],
    [
      'a content type',
      () => ({ ...seen, headers: new Headers({ 'content-type': 'text/plain' }) }),
      /content type text\/plain/,
    ],
    ['a code', () => problem('PROFILE_IN_USE'), /is none of DEVICE_UNKNOWN/],
    ['a route', () => ({ ...seen, url: '/api/v1/nowhere' }), /not described and answers 200/],
  ])('finds %s that the document does not have', (_what, answer, words) => {
    expect(answerProblems(document, answer()).join('; ')).toMatch(words);
  });
});

test('the page at /api/v1/docs runs its own script only, and sets text as text', async () => {
  const page = await api.ask('/api/v1/docs');
  expect(page.headers.get('content-security-policy')).toMatch(/script-src 'sha256-[^']+'; connect-src 'self'/);
  expect(page.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  const script = /<script>([^]*)<\/script>/.exec(page.text)![1]!;
  expect(() => new Script(script)).not.toThrow();
  expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
});

/** As much of a page's elements as the script uses. */
class Element {
  textContent = '';
  href = '';
  readonly inner: Element[] = [];

  append(...more: Element[]): void {
    this.inner.push(...more);
  }

  createTHead = (): Element => this.insertRow();
  createTBody = (): Element => this.insertRow();

  insertRow(): Element {
    const row = new Element();
    this.append(row);
    return row;
  }

  get text(): string {
    return [this.textContent, ...this.inner.map((element) => element.text)].join('\n');
  }
}

test('the page shows every operation, with a command that can be copied', async () => {
  const page = await api.ask('/api/v1/docs');
  const script = /<script>([^]*)<\/script>/.exec(page.text)![1]!;
  const parts = { lead: new Element(), groups: new Element() };
  const browser = {
    document: { getElementById: (id: keyof typeof parts) => parts[id], createElement: () => new Element() },
    location: { origin: 'http://localhost:8080' },
    fetch: async () => ({ ok: true, json: async () => document }),
  };
  const shown = new Script(script).runInNewContext(browser) as Promise<void>;
  await shown;
  expect(parts.lead.textContent).toContain('State of network devices');
  for (const { path, operation } of operations()) {
    expect(parts.groups.text).toContain(path);
    expect(parts.groups.text).toContain(operation.summary);
  }
  expect(parts.groups.text).toContain(
    "curl 'http://localhost:8080/api/v1/devices/leaf-1/state?path=%2Finterfaces%2Finterface%2Fstate%2Foper-status'",
  );
  expect(parts.groups.text).toContain('"leaves": [{');
});
