import { readSecret } from '../core/config.ts';
import { HoldfastError } from '../core/errors.ts';
import { Redacted } from '../core/redacted.ts';
import { type DialTarget, type TlsMaterial } from './transport.ts';

/**
 * Secrets of a device, read anew for every dial (T4), checked before gRPC sees them. gRPC would refuse a bad value by
 * throwing it back in the message (L9), so nothing here ever puts a value into a text: fields and files are named.
 */
export interface SecretReferences {
  readonly tls: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly serverName: string;
  } | null;
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

type Env = Readonly<Record<string, string | undefined>>;

const refuse = (message: string): never => {
  throw new HoldfastError('CREDENTIALS_INVALID', message);
};

/** What gRPC metadata and HTTP/2 header values can carry: printable ASCII, no blank at either end. */
function checkHeaderValue(field: string, value: string): string {
  if (value === '') return refuse(`${field} is empty (T9): write it, or leave credentials out`);
  const at = value.search(/[^ -~]/);
  if (at >= 0) {
    const what = /[\r\n]/.test(value) ? 'a line end' : 'a character outside printable ASCII';
    return refuse(`${field} holds ${what} at character ${at + 1}, which gRPC cannot send: correct the secret`);
  }
  if (value !== value.trim()) return refuse(`${field} begins or ends with a blank, which HTTP/2 cannot send`);
  return value;
}

/** User name and password for every RPC (T5), or `null` for a device without. Throws `CREDENTIALS_INVALID`. */
export function readCredentials(references: SecretReferences, env: Env): DialTarget['credentials'] {
  const { credentials } = references;
  if (credentials === null || (credentials.username === '' && credentials.password === '')) return null;
  if (credentials.username === '') refuse('credentials.username is missing: a password needs a user name');
  if (credentials.password === '') refuse('credentials.password is missing: a user name needs a password (T9)');
  return {
    username: checkHeaderValue('credentials.username', credentials.username),
    password: new Redacted(checkHeaderValue('credentials.password', readSecret(credentials.password, env))),
  };
}

/** Certificates and key of a device that is dialled with TLS. Throws `CREDENTIALS_INVALID`. */
export function readTlsMaterial(references: SecretReferences, env: Env): TlsMaterial {
  const { tls } = references;
  const read = (reference: string): string | null => (reference === '' ? null : readSecret(reference, env));
  const cert = read(tls?.cert ?? '');
  const key = read(tls?.key ?? '');
  if ((cert === null) !== (key === null)) refuse('tls.cert and tls.key belong together: set both or neither');
  return {
    ca: read(tls?.ca ?? ''),
    cert,
    key: key === null ? null : new Redacted(key),
    serverName: tls === null || tls.serverName === '' ? null : tls.serverName,
  };
}
