/**
 * The credentials of the gNMI listener (T1 to T4).
 *
 * K1. Files are read anew for connections that come later than a second after the last look: certificates change without
 *     a restart, and connections that stand stay as they are.
 * K2. What cannot be used (a key that does not fit, a file that is gone) is said, and the last good ones stay in use; at
 *     start it is an error.
 */
import { createSecureContext } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { readSecret } from '../core/config.ts';
import { type Clock } from '../core/clock.ts';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type Logger, RateLimited } from '../core/logger.ts';

export interface GnmiTlsSettings {
  readonly gnmiTlsCert: string | undefined;
  readonly gnmiTlsKey: string | undefined;
  readonly gnmiTlsClientCa: string | undefined;
}

interface Pems {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

const lookEveryMs = 1_000;

export class GnmiTls {
  readonly #settings: GnmiTlsSettings;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #lines = new RateLimited(60_000);
  #pems: Pems | null = null;
  #credentials: ServerCredentials | null = null;
  #lookedAtMonotonicMs = 0;

  /** Throws `SETTING_INVALID` where only a part is set. */
  constructor(
    settings: GnmiTlsSettings,
    env: Readonly<Record<string, string | undefined>>,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#settings = settings;
    this.#env = env;
    this.#clock = clock;
    this.#logger = logger;
    const { gnmiTlsCert, gnmiTlsKey, gnmiTlsClientCa } = settings;
    if ((gnmiTlsCert === undefined) === (gnmiTlsKey === undefined) && (gnmiTlsClientCa === undefined || this.enabled)) {
      return;
    }
    throw new HoldfastError(
      'SETTING_INVALID',
      'gnmiTlsCert and gnmiTlsKey go together, gnmiTlsClientCa only with both',
    );
  }

  get enabled(): boolean {
    return this.#settings.gnmiTlsCert !== undefined;
  }

  /** Throws `CREDENTIALS_INVALID` when nothing good was ever read. The same object while nothing has changed. */
  credentials(): ServerCredentials {
    if (!this.enabled) return (this.#credentials ??= ServerCredentials.createInsecure());
    const nowMs = this.#clock.monotonicMs();
    if (this.#credentials !== null && nowMs - this.#lookedAtMonotonicMs < lookEveryMs) return this.#credentials;
    this.#lookedAtMonotonicMs = nowMs;
    try {
      return this.#read();
    } catch (thrown) {
      if (this.#credentials === null) throw thrown;
      const suppressed = this.#lines.pass('tls', nowMs);
      if (suppressed !== undefined) {
        this.#logger.warn({ cause: messageOf(thrown), suppressed }, 'gnmi certificate not taken'); // K2
      }
      return this.#credentials;
    }
  }

  #read(): ServerCredentials {
    const { gnmiTlsCert = '', gnmiTlsKey = '', gnmiTlsClientCa } = this.#settings;
    const pems = {
      cert: readSecret(gnmiTlsCert, this.#env),
      key: readSecret(gnmiTlsKey, this.#env),
      clientCa: gnmiTlsClientCa === undefined ? null : readSecret(gnmiTlsClientCa, this.#env),
    };
    const known = this.#pems;
    if (this.#credentials !== null && known !== null && isSame(known, pems)) return this.#credentials;
    this.#credentials = credentialsOf(pems);
    this.#pems = pems;
    if (known !== null) this.#logger.info({}, 'gnmi certificate renewed');
    return this.#credentials;
  }
}

function isSame(a: Pems, b: Pems): boolean {
  return a.cert === b.cert && a.key === b.key && a.clientCa === b.clientCa;
}

function credentialsOf({ cert, key, clientCa }: Pems): ServerCredentials {
  try {
    createSecureContext({ cert, key, ...(clientCa === null ? {} : { ca: clientCa }) });
  } catch (thrown) {
    throw new HoldfastError('CREDENTIALS_INVALID', `the gNMI certificate cannot be used: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(clientCa === null ? null : Buffer.from(clientCa), [pair], clientCa !== null);
}
