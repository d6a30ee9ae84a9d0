/** Who changes something: the header `Holdfast-User`, else the remote address. */
import { HoldfastError } from '../core/errors.ts';
import { type ApiRequest } from './route.ts';

const lengthMax = 128;

/** Throws `PARAMETER_INVALID`. */
export function changedByOf(request: Pick<ApiRequest, 'header' | 'remoteAddress'>): string {
  const header = request.header('holdfast-user');
  if (header === undefined || header === '') return request.remoteAddress;
  // Node reads header bytes as Latin-1; clients mean UTF-8.
  const user = Buffer.from(header, 'latin1').toString('utf8');
  if (user.length > lengthMax || /[\p{Cc}\uFFFD]/u.test(user)) {
    const detail = `header Holdfast-User must be at most ${lengthMax} printable characters in UTF-8`;
    throw new HoldfastError('PARAMETER_INVALID', detail, { facts: { header: 'Holdfast-User' } });
  }
  return user;
}
