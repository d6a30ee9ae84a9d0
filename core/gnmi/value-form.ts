/** How values are sent: as the TypedValue they are, or as JSON of either kind (E4, E7). */
import { type GnmiEncoding } from '../../schemas/gnmi.ts';
import { formatValueJson, type TypedValue } from '../../schemas/value.ts';

export type ValueForm = 'proto' | 'json' | 'json_ietf';
export type JsonForm = Exclude<ValueForm, 'proto'>;

export function valueForm(encoding: GnmiEncoding): ValueForm {
  return encoding === 'JSON' ? 'json' : encoding === 'JSON_IETF' ? 'json_ietf' : 'proto';
}

/** A leaf's bare JSON value (V10, V11). JSON is handed on as it came. */
export function jsonBytes(typed: TypedValue, form: JsonForm): Buffer {
  if (typed.kind === 'json' || typed.kind === 'json_ietf') return typed.value;
  return Buffer.from(formatValueJson(typed, form === 'json' ? 'native' : 'rfc7951'));
}
