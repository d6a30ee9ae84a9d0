import { type Device } from '../schemas/device.ts';
import { readCredentials, readTlsMaterial } from './credentials.ts';
import { type IngestSettings } from './config.ts';
import { type DialTarget } from './transport.ts';

/** How a device is dialled: of its record, of the secrets it refers to as they are now, and of the limits of this process. */
export interface DialContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly settings: Pick<IngestSettings, 'maxMessageBytes' | 'receiveWindowBytes'>;
}

/** Throws `HoldfastError` `CREDENTIALS_INVALID`. */
export function dialTarget(device: Device, address: string, { env, settings }: DialContext): DialTarget {
  const references = { tls: device.tls ?? null, credentials: device.credentials ?? null };
  return {
    device: device.name,
    address,
    tls: device.plaintext ? null : readTlsMaterial(references, env), // T1
    credentials: readCredentials(references, env),
    receiveBytesMax: settings.maxMessageBytes,
    receiveWindowBytes: settings.receiveWindowBytes,
  };
}

/** Equal for two records of a device that are dialled alike, as long as the secrets stay what they are. */
export function dialKey({ addresses, plaintext, tls, credentials }: Device): string {
  return JSON.stringify([addresses, plaintext, tls ?? null, credentials ?? null]);
}

/** Whether a connection made for one is what dialling the other would give; the secrets themselves are compared. */
export function sameTarget(one: DialTarget, other: DialTarget): boolean {
  return (
    one.device === other.device &&
    one.address === other.address &&
    one.receiveBytesMax === other.receiveBytesMax &&
    one.receiveWindowBytes === other.receiveWindowBytes &&
    (one.tls === null) === (other.tls === null) &&
    one.tls?.ca === other.tls?.ca &&
    one.tls?.cert === other.tls?.cert &&
    one.tls?.key?.reveal() === other.tls?.key?.reveal() &&
    one.tls?.serverName === other.tls?.serverName &&
    one.credentials?.username === other.credentials?.username &&
    one.credentials?.password.reveal() === other.credentials?.password.reveal()
  );
}
