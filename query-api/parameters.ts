/**
 * Query parameters, checked once at the edge. Unknown names are refused (a misspelt filter must not answer with
 * everything), malformed percent-encoding too, and every count has a bound. Names come from outside, so they are kept
 * in a Map and never become properties.
 */
import { HoldfastError } from '../core/errors.ts';
import { limitRange, type Range } from './query-parameters.ts';

export type Parameters = ReadonlyMap<string, readonly string[]>;

/** Parses the part of `url` behind `?`. Throws `PARAMETER_INVALID` naming what is wrong. */
export function parseParameters(url: string, allowed: readonly string[], maxRepeats: number): Parameters {
  const start = url.indexOf('?');
  const parameters = new Map<string, string[]>();
  if (start < 0) return parameters;
  for (const pair of url.slice(start + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (!allowed.includes(name)) {
      const known = allowed.length === 0 ? 'this route takes none' : `this route takes ${allowed.join(', ')}`;
      throw invalid(name.slice(0, 64), `is not a parameter of this route; ${known}`);
    }
    const values = parameters.get(name) ?? [];
    if (values.length >= maxRepeats) throw invalid(name, `may be given at most ${maxRepeats} times`);
    values.push(equals < 0 ? '' : decode(pair.slice(equals + 1)));
    parameters.set(name, values);
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new HoldfastError('PARAMETER_INVALID', 'the query string has malformed percent-encoding (write % as %25)');
  }
}

/** The error of one parameter. */
export function invalid(parameter: string, message: string): HoldfastError {
  return new HoldfastError('PARAMETER_INVALID', `${parameter} ${message}`, { facts: { parameter } });
}

/** The value of a parameter that may be given once; `undefined` when it is not. */
export function single(parameters: Parameters, name: string): string | undefined {
  const values = parameters.get(name);
  if (values !== undefined && values.length > 1) throw invalid(name, 'may be given only once');
  return values?.[0];
}

/** An integer within its range; `undefined` when not given. */
export function integer(parameters: Parameters, name: string, range: Range): number | undefined {
  const text = single(parameters, name);
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= range.min && value <= range.max)) {
    throw invalid(name, `must be a whole number from ${range.min} to ${range.max}`);
  }
  return value;
}

/** One of a closed list; `undefined` when not given. */
export function choice<const C extends string>(
  parameters: Parameters,
  name: string,
  choices: readonly C[],
): C | undefined {
  const text = single(parameters, name);
  if (text === undefined) return undefined;
  const found = choices.find((candidate) => candidate === text);
  if (found === undefined) throw invalid(name, `must be one of ${choices.join(', ')}`);
  return found;
}

export interface LabelFilter {
  readonly name: string;
  readonly value: string;
}

/** `label=site=fra`, repeated: all must match. */
export function labelFilters(parameters: Parameters): LabelFilter[] {
  return (parameters.get('label') ?? []).map((text) => {
    const equals = text.indexOf('=');
    if (equals < 1) throw invalid('label', 'must be written name=value');
    return { name: text.slice(0, equals), value: text.slice(equals + 1) };
  });
}

/** A page token: opaque to clients, to us the sort key of the last thing answered. */
export function formatPageToken(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url');
}

/** The page of `names` (ascending) that a request asks for with `limit` and `next`. */
export function pageOf(
  names: readonly string[],
  parameters: Parameters,
  limits: { readonly maxLeaves: number },
): { readonly entries: readonly string[]; readonly next: string | null } {
  const limit = integer(parameters, 'limit', limitRange(limits)) ?? limits.maxLeaves;
  const [after = ''] = pageToken(parameters, 1) ?? [];
  const rest = names.filter((name) => name > after);
  const entries = rest.slice(0, limit);
  return { entries, next: rest.length > limit ? formatPageToken(entries.slice(-1)) : null };
}

/** The sort key in `next`; `undefined` for the first page. Throws `PARAMETER_INVALID`. */
export function pageToken(parameters: Parameters, parts: number): readonly string[] | undefined {
  const text = single(parameters, 'next');
  if (text === undefined) return undefined;
  try {
    const decoded: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (Array.isArray(decoded) && decoded.length === parts && decoded.every((part) => typeof part === 'string')) {
      return decoded;
    }
  } catch {
    // falls through to the one error below
  }
  throw invalid('next', 'is not a page token; take it from the answer before, unchanged');
}
