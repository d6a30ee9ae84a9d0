/**
 * Errors as RFC 9457 problem documents (`application/problem+json`): the one place that knows which code answers with
 * which HTTP status, and that turns whatever was thrown (ours, Express', the schemas') into such a document. A message
 * of an unexpected error stays in the log: only its code leaves the process.
 */
import { HoldfastError, messageOf, type ErrorCode, type Facts } from '../core/errors.ts';

export interface Problem {
  readonly status: number;
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail: string;
  readonly facts: Facts;
  /** Not caused by the request: worth a line in the log. */
  readonly unexpected: boolean;
}

const requestProblems: Partial<Record<ErrorCode, readonly [status: number, title: string]>> = {
  PATH_MALFORMED: [400, 'path is malformed'],
  CURSOR_MALFORMED: [400, 'cursor is malformed'],
  PARAMETER_INVALID: [400, 'parameter is invalid'],
  BODY_INVALID: [400, 'body is invalid'],
  DEVICE_UNKNOWN: [404, 'device is unknown'],
  PROFILE_UNKNOWN: [404, 'profile is unknown'],
  INSTANCE_UNKNOWN: [404, 'instance is unknown'],
  ROUTE_UNKNOWN: [404, 'route is unknown'],
  METHOD_NOT_ALLOWED: [405, 'method is not allowed'],
  PROFILE_IN_USE: [409, 'profile is in use'],
  PRECONDITION_FAILED: [412, 'precondition failed'],
  BODY_TOO_LARGE: [413, 'body is too large'],
  MEDIA_TYPE_UNSUPPORTED: [415, 'media type is not supported'],
  LIMIT_EXCEEDED: [429, 'limit is exceeded'],
  TOO_STALE: [503, 'nobody is fresh enough'],
  NOT_CAUGHT_UP: [503, 'not caught up yet'],
  KAFKA_UNAVAILABLE: [503, 'Kafka is unavailable'],
};

/** Status of a problem that a request can meet; throws for a code that no request is answered with. */
export function problemStatus(code: ErrorCode): number {
  if (code === 'INTERNAL') return 500;
  const known = requestProblems[code];
  if (known === undefined) throw new Error(`${code} answers no request`);
  return known[0];
}

/** What lower layers call a Kafka that does not answer; to a client it is all one. */
const kafkaCodes: ReadonlySet<ErrorCode> = new Set(['KAFKA_UNREACHABLE', 'KAFKA_DENIED', 'TOPIC_MISSING']);

/** Errors of Express and body-parser carry a `type`; the rest of their shape is not to be relied on. */
const bodyProblems: Readonly<Record<string, ErrorCode>> = {
  'entity.too.large': 'BODY_TOO_LARGE',
  'encoding.unsupported': 'MEDIA_TYPE_UNSUPPORTED',
  'charset.unsupported': 'MEDIA_TYPE_UNSUPPORTED',
};

/** Problems in one document: a body of a few megabytes may have a million. A parser stops at half of this. */
const problemsMax = 2_000;

/** What is wrong with a body, all of it: the detail is the first problem, the document lists every one. */
export function bodyInvalid(problems: readonly string[]): HoldfastError {
  const [first = 'it is not as documented'] = problems;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
  return new HoldfastError('BODY_INVALID', `${first}${more}`, { facts: { problems: problems.slice(0, problemsMax) } });
}

/** The problem that answers `thrown`. Never throws. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof HoldfastError) {
    if (kafkaCodes.has(thrown.code)) return problem('KAFKA_UNAVAILABLE', thrown.message, thrown.facts);
    return problem(thrown.code, thrown.message, thrown.facts);
  }
  const { name, type, status, limit } =
    thrown instanceof Error ? (thrown as { name: string; type?: unknown; status?: unknown; limit?: unknown }) : {};
  if (name === 'PathMalformed') return problem('PATH_MALFORMED', messageOf(thrown));
  if (name === 'CursorMalformed') return problem('CURSOR_MALFORMED', messageOf(thrown));
  if (typeof type === 'string') {
    const code = Object.hasOwn(bodyProblems, type) ? bodyProblems[type] : undefined;
    if (code === 'BODY_TOO_LARGE' && typeof limit === 'number') {
      const detail = `the body is larger than the ${limit} bytes allowed (setting maxBodyBytes)`;
      return problem(code, detail, { maxBodyBytes: limit });
    }
    return problem(code ?? 'BODY_INVALID', `the body cannot be read: ${messageOf(thrown)}`);
  }
  if (thrown instanceof URIError) {
    return problem('PARAMETER_INVALID', `the URL cannot be read: ${messageOf(thrown)}`);
  }
  // The inflater's errors have a status of body-parser and no type.
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return problem('BODY_INVALID', `the body cannot be read: ${messageOf(thrown)}`);
  }
  return problem('INTERNAL', 'an unexpected error; the log of this instance has it');
}

function problem(code: ErrorCode, detail: string, facts: Facts = {}): Problem {
  const known = requestProblems[code];
  if (known === undefined) {
    return { status: 500, code: 'INTERNAL', title: 'internal error', detail, facts: {}, unexpected: true };
  }
  return { status: known[0], code, title: known[1], detail, facts, unexpected: false };
}

/** The document's JSON text. Facts become members of their own; they never overwrite the five of the standard. */
export function formatProblem(problem: Problem): string {
  const { facts, status, code, title, detail } = problem;
  const standard = { type: 'about:blank', title, status, detail, code };
  const members = { ...standard, ...facts, ...standard }; // first for the reader, last so that they count
  return JSON.stringify(members, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}
