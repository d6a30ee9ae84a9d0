/** How the responses to a request spell origin, target and values: as the request did (N4, N7). */
import { type GnmiEncoding } from '../../schemas/gnmi.ts';
import { normaliseOrigin, type Path } from '../../schemas/path.ts';
import { invalid, type Refusal, unimplemented } from './refusal.ts';
import { type ValueForm, valueForm } from './value-form.ts';

export interface ResponseForm {
  readonly values: ValueForm;
  /** Said in the request's prefix, to be said in that of each response; empty: not said. */
  readonly prefixOrigin: string;
  /** Said in the request's paths, to be said in those of responses. */
  readonly pathOrigins: ReadonlySet<string>;
  /** As asked: empty, `*`, or a name. */
  readonly target: string;
}

export function responseForm(
  prefix: Path | undefined,
  paths: readonly (Path | undefined)[],
  encoding: GnmiEncoding,
  offers: readonly GnmiEncoding[],
): ResponseForm | Refusal {
  const prefixOrigin = prefix?.origin ?? '';
  const pathOrigins = new Set(paths.map((path) => path?.origin ?? '').filter((origin) => origin !== ''));
  if (pathOrigins.size > 0 && prefixOrigin !== '') return invalid('origin in the prefix and in a path'); // N8
  if (pathOrigins.size > 0 && (prefix?.elems.length ?? 0) > 0) {
    return invalid('origin in a path while the prefix has elements'); // N8, N9
  }
  if (paths.some((path) => (path?.target ?? '') !== '')) return invalid('target is only allowed in the prefix'); // N4
  if (!offers.includes(encoding)) {
    return unimplemented(`encoding ${encoding} is not supported; offered are ${offers.join(', ')}`); // E5
  }
  return { values: valueForm(encoding), prefixOrigin, pathOrigins, target: prefix?.target ?? '' };
}

/** The path that a request means: prefix and path joined (N1), origin normalised (N6). */
export function joinedPath(prefix: Path | undefined, path: Path | undefined): Path {
  const origin = prefix?.origin ?? '';
  return {
    origin: normaliseOrigin(origin === '' ? (path?.origin ?? '') : origin),
    target: '',
    elems: [...(prefix?.elems ?? []), ...(path?.elems ?? [])],
  };
}
