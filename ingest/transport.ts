import { type ErrorCode } from '../core/errors.ts';
import { type Redacted } from '../core/redacted.ts';

/**
 * What a session needs of gRPC, and nothing more: bytes in, bytes out, why it ended. The session does not know which client
 * stands behind it, so that a leaner one can follow.
 *
 * X1. `onMessage` gets the message's bytes once; they may be kept, but not changed.
 * X2. After `destroy` or `close` no listener is called again, and `destroy` has let every socket go before it returns.
 * X3. No RPC dials twice: when the connection is lost, the connection's RPCs end, and the caller decides.
 */
export type DeviceErrorCode = Extract<
  ErrorCode,
  | 'UNREACHABLE'
  | 'TLS_UNTRUSTED'
  | 'TLS_EXPIRED'
  | 'TLS_NAME'
  | 'TLS_PROTOCOL'
  | 'CREDENTIALS_INVALID'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'ENCODING_UNSUPPORTED'
  | 'SUBSCRIPTION_REFUSED'
  | 'SUBSCRIPTION_LIMIT'
  | 'SYNC_TIMEOUT'
  | 'RECEIVE_TIMEOUT'
  | 'MESSAGE_TOO_LARGE'
  | 'MESSAGE_MALFORMED'
>;

/** Why something with a device failed: the code of its status record, a sentence, and how soon a repeat makes sense. */
export interface DeviceFailure {
  readonly code: DeviceErrorCode;
  readonly detail: string;
  /** `soon`: back-off. `slowly`: only somebody's change will help, at the device or in its record. */
  readonly retry: 'soon' | 'slowly';
}

/** Certificates as read for this dial (PEM); absent ones are the system's CAs and no client certificate. */
export interface TlsMaterial {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: Redacted | null;
  /** Name to check the device's certificate against, instead of the address. */
  readonly serverName: string | null;
}

export interface DialTarget {
  /** Name of the device: a connection that was prepared for one is no other's. */
  readonly device: string;
  /** `host:port`, IPv6 in brackets. */
  readonly address: string;
  /** `null`: plaintext, which the device record asks for by name; never a fall-back (T1). */
  readonly tls: TlsMaterial | null;
  /** Sent as metadata with every RPC (T5); checked already. */
  readonly credentials: { readonly username: string; readonly password: Redacted } | null;
  readonly receiveBytesMax: number;
  readonly receiveWindowBytes: number;
}

export type RpcEnd = { readonly kind: 'ok' } | { readonly kind: 'failed'; readonly failure: DeviceFailure };
export type CapabilitiesAnswer =
  | { readonly kind: 'answered'; readonly bytes: Buffer }
  | { readonly kind: 'unimplemented' } // E2: subscribe all the same
  | { readonly kind: 'failed'; readonly failure: DeviceFailure };

export interface SubscribeListener {
  onMessage(bytes: Buffer): void;
  /** Once, unless the connection was closed by us first. */
  onEnded(end: RpcEnd): void;
}

export interface SubscribeCall {
  /** No further message after the one being handled; HTTP/2 flow control holds the device back. */
  pause(): void;
  resume(): void;
}

export interface DeviceConnection {
  /** Dialled some time ago: whether the device still lives is only known once it says something. */
  readonly isPrepared: boolean;
  /** Dials if nobody has yet. The connection's owner closes it if this takes too long. */
  capabilities(): Promise<CapabilitiesAnswer>;
  /** `request` is an encoded `SubscribeRequest`. */
  subscribe(request: Buffer, listener: SubscribeListener): SubscribeCall;
  /** Once, when a connection that had come up is gone, unless it was closed by us first; one listener. */
  onLost(listener: () => void): void;
  /** Cancels the RPCs in the protocol's way; resolves when the sockets were let go, a turn of the event loop later. */
  close(): Promise<void>;
  /** Lets every socket go, at once and without a word to the device. */
  destroy(): void;
}

export interface DeviceTransport {
  /** Inert until the first RPC. Throws `HoldfastError` `CREDENTIALS_INVALID` if the certificates cannot be used. */
  dial(target: DialTarget): DeviceConnection;
  /** Whether `dial` would hand over a connection that is up already. */
  isPrepared(target: DialTarget): boolean;
  /** At which address one was prepared for this device; `null`: none was. */
  preparedAddress(device: string): string | null;
}
