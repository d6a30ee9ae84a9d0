import { z } from 'zod';
import { type TypedValue } from '../schemas/value.ts';

/** A leaf's value as the control port takes it: `{"uintVal": "18446744073709551615"}`, integers as decimal text. */
const integerText = z.string().regex(/^-?\d{1,20}$/, 'expected an integer as text');

export const leafValueSchema = z.union([
  z.strictObject({ stringVal: z.string() }),
  z.strictObject({ intVal: integerText }),
  z.strictObject({ uintVal: integerText }),
  z.strictObject({ boolVal: z.boolean() }),
  z.strictObject({ doubleVal: z.number() }),
  z.strictObject({ bytesVal: z.base64() }),
  z.strictObject({ jsonVal: z.string() }),
  z.strictObject({ jsonIetfVal: z.string() }),
]);

export const leafChangeSchema = z.union([
  z.strictObject({ set: z.string().min(1), value: leafValueSchema }),
  z.strictObject({ delete: z.string().min(1) }),
]);

export function parseLeafValue(input: z.infer<typeof leafValueSchema>): TypedValue {
  if ('stringVal' in input) return { kind: 'string', value: input.stringVal };
  if ('intVal' in input) return { kind: 'int', value: BigInt.asIntN(64, BigInt(input.intVal)) };
  if ('uintVal' in input) return { kind: 'uint', value: BigInt.asUintN(64, BigInt(input.uintVal)) };
  if ('boolVal' in input) return { kind: 'bool', value: input.boolVal };
  if ('doubleVal' in input) return { kind: 'double', value: input.doubleVal };
  if ('bytesVal' in input) return { kind: 'bytes', value: Buffer.from(input.bytesVal, 'base64') };
  if ('jsonVal' in input) return { kind: 'json', value: Buffer.from(input.jsonVal) };
  return { kind: 'json_ietf', value: Buffer.from(input.jsonIetfVal) };
}
