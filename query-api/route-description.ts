/**
 * What a route tells about itself, for `/api/v1/openapi.json` and the tests that hold its answers against it. Types and
 * the constants that routes share.
 */
import { type z } from 'zod';
import { type ErrorCode } from '../core/errors.ts';

/** The groups of the API document, in its order. */
export const routeGroups = {
  state: 'What devices last said',
  devices: 'What is wanted of devices',
  ownership: 'Who holds what, and wishes about it',
  operations: 'For operators, monitors and stock deserializers',
  documents: 'Pages and descriptions',
} as const;

export type RouteGroup = keyof typeof routeGroups;

/** Headers of answers, with what they say. */
export const answerHeaders = {
  ETag: 'Tag of the record as it is stored, of a device with its status in a second part: If-None-Match of a GET compares both, If-Match and If-None-Match of a change the record',
  'Retry-After': 'Seconds after which the same request may succeed',
  'Holdfast-Cursor': 'The cursor of the body; only in the body when it is longer than 4096 characters',
  'Holdfast-Age-Ms': 'Largest staleness of the slots of the request, ms',
  'Holdfast-Served-By': 'The instance that answered',
  'Holdfast-Owner': 'The ingest instance that holds the slot, where one slot answers',
  'Holdfast-Divert': 'local, or forwarded: or redirected: and the reason: absent, loading, stale, behind',
  Location: 'The same path and query at the instance that answers',
  'Preference-Applied': 'redirect',
  'X-Accel-Buffering': 'no: proxies pass events on as they come',
  'Content-Security-Policy': 'What the page may load and run',
} as const;

export type AnswerHeader = keyof typeof answerHeaders;

export interface QueryParameter {
  readonly description: string;
  /** An array: the parameter may be repeated. */
  readonly schema: z.ZodType;
  /** As it stands in a URL before it is encoded. */
  readonly example?: string;
}

export type QueryParameters = Readonly<Record<string, QueryParameter>>;

export interface AnswerDescription {
  readonly description: string;
  /** `null`: no body. */
  readonly body: z.ZodType | null;
  /** `application/json` if left out. */
  readonly contentType?: string;
  readonly headers?: readonly AnswerHeader[];
}

export interface RouteDescription {
  readonly group: RouteGroup;
  readonly summary: string;
  /** More than the summary says; Markdown. */
  readonly description?: string;
  /** Of the request; left out: it has none. */
  readonly body?: { readonly schema: z.ZodType; readonly example: unknown };
  /** Headers of the request that the route minds. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  /** By status; those of `codes` come on top. */
  readonly answers: Readonly<Record<number, AnswerDescription>>;
  /** Codes of the problem documents it may answer with, beside those that every route has. */
  readonly codes: readonly ErrorCode[];
}

/** Of routes that another instance may have to answer. */
export const redirected: AnswerDescription = {
  description: 'Another instance answers, and the client prefers to go there',
  body: null,
  headers: ['Location', 'Preference-Applied', 'Holdfast-Divert'],
};

/** A route that reads the tables answers so until they are loaded. */
export const readsTables = ['NOT_CAUGHT_UP'] as const satisfies readonly ErrorCode[];

/** What a change can meet beside its own problems. */
export const changes = ['NOT_CAUGHT_UP', 'KAFKA_UNAVAILABLE', 'LIMIT_EXCEEDED'] as const satisfies readonly ErrorCode[];

/** The header of every request that changes something. */
export const author = {
  'Holdfast-User': 'Who changes it: at most 128 printable characters; the address of the caller if left out',
};

/** What is wrong with a body before the route sees it. */
export const takesBody = [
  'BODY_INVALID',
  'BODY_TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
] as const satisfies readonly ErrorCode[];
