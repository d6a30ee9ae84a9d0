/** What devices of scenarios say, as short as it can be written; and the bytes for what no codec of ours would write. */
import { Writer } from 'protobufjs/minimal.js';
import { type Extension, gnmi, type GnmiUpdate } from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { parsePath } from '../../schemas/path.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';

/** Numbers are uint, texts string. */
export type Value = number | bigint | string | boolean | TypedValue;

export interface Note {
  /** Nanoseconds. */
  readonly t: number | bigint;
  readonly prefix?: string;
  readonly target?: string;
  /** By path; a list where a path occurs twice. */
  readonly set?: Readonly<Record<string, Value>> | readonly (readonly [string, Value])[];
  readonly del?: readonly string[];
  readonly atomic?: boolean;
  /** Further updates as they are. */
  readonly updates?: readonly Init<GnmiUpdate>[];
  readonly extension?: readonly Init<Extension>[];
}

export function typed(value: Value): TypedValue {
  if (typeof value === 'object') return value;
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'boolean') return { kind: 'bool', value };
  return { kind: 'uint', value: BigInt(value) };
}

export const json = (text: string): TypedValue => ({ kind: 'json', value: Buffer.from(text) });
export const jsonIetf = (text: string): TypedValue => ({ kind: 'json_ietf', value: Buffer.from(text) });

/** An encoded SubscribeResponse. */
export function note({ t, prefix, target, set = [], del = [], atomic = false, updates = [], extension }: Note): Buffer {
  const pairs: readonly (readonly [string, Value])[] = Array.isArray(set) ? set : Object.entries(set);
  const said = pairs.map(([path, value]) => ({ path: parsePath(path), val: encodeTypedValue(typed(value)) }));
  const hasPrefix = prefix !== undefined || target !== undefined;
  return gnmi.SubscribeResponse.encode({
    update: {
      timestamp: BigInt(t),
      ...(hasPrefix ? { prefix: { ...parsePath(prefix ?? '/'), target: target ?? '' } } : {}),
      update: [...said, ...updates],
      delete: del.map((path) => parsePath(path)),
      atomic,
    },
    ...(extension === undefined ? {} : { extension }),
  });
}

const lengthDelimited = (field: number): number => (field << 3) | 2;

/** A SubscribeResponse around the bytes of a Notification that were written field by field. */
export function rawNotification(t: number, fields: readonly (readonly [number, Buffer])[]): Buffer {
  const writer = Writer.create();
  writer.uint32(8).int64(t);
  for (const [field, bytes] of fields) writer.uint32(lengthDelimited(field)).bytes(bytes);
  return message([[1, Buffer.from(writer.finish())]]);
}

/** A message of length-delimited fields. */
export function message(fields: readonly (readonly [number, Buffer | string])[]): Buffer {
  const writer = Writer.create();
  for (const [field, bytes] of fields) {
    writer.uint32(lengthDelimited(field));
    if (typeof bytes === 'string') writer.string(bytes);
    else writer.bytes(bytes);
  }
  return Buffer.from(writer.finish());
}
