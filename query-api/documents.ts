/**
 * The JSON documents of the HTTP interface, by their names in the API document (`openapi.ts`). Whoever describes one
 * registers it here; the schemas say what is written, the code that writes does not run through them: the tests hold
 * every answer against them.
 */
import { z } from 'zod';

/** Names are those of `#/components/schemas/…`. */
export const documents = z.registry<{ readonly id: string }>();

/** Registers a document. */
export function document<S extends z.ZodType>(id: string, schema: S): S {
  documents.add(schema, { id });
  return schema;
}

/** `{"status":"success","data":…}`, with what is legal but odd beside it. */
export function envelope(id: string, data: z.ZodType, more: 'warnings' | 'no warnings' = 'no warnings'): z.ZodType {
  const warnings = z.array(z.string()).describe('What is legal but odd').optional();
  const members = { status: z.literal('success'), data };
  return document(id, more === 'warnings' ? z.object({ ...members, warnings }) : z.object(members));
}

/** 64-bit numbers are texts: a number of JSON would lose their last digits (RFC 7951). */
export const nsText = z
  .string()
  .regex(/^-?\d+$/)
  .describe('Nanoseconds since 1970');

export const epochText = z.string().regex(/^\d+$/).describe('Epoch: grows with every change of the slot’s owner');

export const positionText = z
  .string()
  .regex(/^\d+:\d+:\d+$/)
  .describe('Position in the log: slot:epoch:seq');

export const cursorText = z
  .string()
  .regex(/^1\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]{6})?$/)
  .describe('Positions of the slots of the request; opaque, to be given back in atLeast or Last-Event-ID');

export const isoTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .describe('Time of the change, UTC');

export const nextToken = z
  .string()
  .nullable()
  .describe('Page token: give it back as next for what follows; null: this is the last page');

export const wholeNumber = z.int().min(0);
