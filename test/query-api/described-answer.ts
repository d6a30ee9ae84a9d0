/** Holds an answer against what the API document says of its route and status. */
import { type ApiDocument } from '../../query-api/openapi.ts';
import { schemaProblems } from '../support/json-schema.ts';

export interface AnswerSeen {
  readonly method: string;
  /** As it was asked for. */
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

interface Response {
  readonly content?: Readonly<Record<string, { readonly schema: Readonly<Record<string, unknown>> }>>;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** Headers that every answer may have; others must be described. */
const always = new Set([
  ...['cache-control', 'x-content-type-options', 'content-type', 'content-length', 'date', 'connection', 'keep-alive'],
]);

/** What is wrong with the answer; empty: it is as described. */
export function answerProblems(document: ApiDocument, seen: AnswerSeen): string[] {
  const { schemas } = document.components;
  const response = described(document, seen);
  if (typeof response === 'string') return [response];
  const media = seen.headers.get('content-type');
  const names = new Set(Object.keys(response.headers ?? {}).map((name) => name.toLowerCase()));
  const problems = [...seen.headers.keys()]
    .filter((name) => !always.has(name) && !names.has(name))
    .map((name) => `header ${name} is not described`);
  if (response.content === undefined) return seen.text === '' ? problems : [...problems, 'has a body and should not'];
  const content = media === null ? undefined : response.content[media];
  if (content === undefined) return [...problems, `content type ${String(media)} is not described`];
  if (seen.method === 'HEAD') return problems;
  const body: unknown = /json/.test(media ?? '') ? JSON.parse(seen.text) : seen.text;
  return [...problems, ...schemaProblems(content.schema, body, schemas)];
}

/** The response of the document, or what is wrong. */
function described(document: ApiDocument, { method, url, status }: AnswerSeen): Response | string {
  const path = url.replace(/[?#].*/, '');
  const templates = Object.keys(document.paths).filter((template) => patternOf(template).test(path));
  // Of several the one with the fewest variables, as in OpenAPI.
  const [template] = templates.sort((a, b) => a.split('{').length - b.split('{').length);
  const methods = template === undefined ? {} : (document.paths[template] ?? {});
  const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
  const operation = methods[verb] ?? (status === 405 ? Object.values(methods)[0] : undefined);
  if (operation === undefined) {
    const expected = template === undefined ? 404 : 405;
    // Before its route is known a request can only be malformed.
    if (status !== expected && status !== 400) return `${method} ${path} is not described and answers ${status}`;
    return problemResponse;
  }
  const found = operation.responses[String(status)];
  if (found !== undefined) return found;
  return status === 405 ? problemResponse : `${method} ${path} answers ${status}, which is not described`;
}

const problemResponse: Response = {
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  headers: { Allow: {}, 'Holdfast-Served-By': {} },
};

function patternOf(template: string): RegExp {
  const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace('{rest}', '.+').replace(/\{\w+\}/g, '[^/]+?')}$`);
}
