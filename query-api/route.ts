/**
 * What a route is: a method, a path and a function from request to answer. `server.ts` is the only file that knows which
 * HTTP library carries them.
 */
import { HoldfastError } from '../core/errors.ts';
import { type Parameters } from './parameters.ts';
import { type QueryParameters, type RouteDescription } from './route-description.ts';
import { type StreamAnswer } from './stream-answer.ts';

export interface ApiRequest {
  readonly method: string;
  /** As it arrived: path and query, percent-encoded. */
  readonly url: string;
  /** Decoded parts of the path, by the names in the route's path. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly parameters: Parameters;
  /** Lower-case name. */
  header(name: string): string | undefined;
  /** Parsed JSON; `undefined` where the route takes no body. */
  readonly body: unknown;
  readonly remoteAddress: string;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** `null`: no body. */
  readonly body: string | Buffer | null;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  /** `ANY`: the route answers every method itself. */
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'ANY';
  /** Pattern of path-to-regexp 8; also the `route` label of the metrics. */
  readonly path: string;
  /** Query parameters that the route takes, others are refused; `null`: it reads the URL itself. */
  readonly parameters: QueryParameters | null;
  /** What the API document says of it; a PUT or POST without `body` says everything in its path. */
  readonly about: RouteDescription;
  answer(request: ApiRequest): Answer | StreamAnswer | Promise<Answer | StreamAnswer>;
}

/** `{"status":"success","data":…}` from JSON text. */
export function successText(dataText: string, extra = ''): string {
  return `{"status":"success","data":${dataText}${extra}}`;
}

/** The usual answer; 64-bit numbers are strings already when they get here. */
export function success(data: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, body: successText(JSON.stringify(data)), headers };
}

/** 202: the change is known here, what it sets off is still to come. */
export function accepted(data: object, warnings: readonly string[] = []): Answer {
  return { status: 202, body: successText(JSON.stringify(data), warningsText(warnings)) };
}

/** What is legal but odd, beside the data. */
export function warningsText(warnings: readonly string[]): string {
  return warnings.length === 0 ? '' : `,"warnings":${JSON.stringify(warnings)}`;
}

/** A part of the path. */
export function param(request: ApiRequest, name: string): string {
  const value = request.params[name];
  if (value === undefined) throw new HoldfastError('INTERNAL', `the route has no part ${name}`);
  return value;
}
