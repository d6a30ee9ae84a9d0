import { type DeviceErrorCode, type DeviceFailure } from './transport.ts';

/**
 * From what gRPC and TLS say to the code an operator can act on (T19). Pure; the one place that reads other people's error
 * texts. Whatever a device writes is shortened and stripped of control characters before anybody prints it.
 */
export interface SocketFailure {
  /** Code of Node's error, `ECONNRESET` or `CERT_HAS_EXPIRED`; empty if it has none. */
  readonly code: string;
  readonly message: string;
  /** Whether the TCP connection stood and TLS was being spoken. */
  readonly duringTls: boolean;
}

const detailLengthMax = 500;

/** One printable line of bounded length. */
export function printable(text: string): string {
  // Control and format characters of a device must not reach a terminal.
  const line = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  return line.length <= detailLengthMax ? line : `${line.slice(0, detailLengthMax)}…`;
}

const expired = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'CRL_NOT_YET_VALID']);
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** Why the socket to a device could not be used; `null` when TLS is not to blame. */
export function classifyTlsFailure(failure: SocketFailure, address: string): DeviceFailure | null {
  const fails = (code: DeviceErrorCode, why: string, remedy: string): DeviceFailure => ({
    code,
    detail: printable(`${address}: ${why} (${failure.code || failure.message}); ${remedy}`),
    retry: 'soon',
  });
  if (expired.has(failure.code))
    return fails('TLS_EXPIRED', "the device's certificate is not valid now", 'renew it, or set the clocks right');
  if (failure.code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return fails(
      'TLS_NAME',
      "the device's certificate is for another name",
      'set tls.serverName to a name in the certificate',
    );
  if (untrusted.has(failure.code))
    return fails('TLS_UNTRUSTED', "the device's certificate is not signed by a known CA", 'set tls.ca to its CA');
  if (failure.duringTls || failure.code.startsWith('ERR_SSL') || failure.code === 'EPROTO')
    return fails(
      'TLS_PROTOCOL',
      `no TLS 1.2 or later with the device: ${failure.message}`,
      'check that the device speaks TLS here (or set plaintext: true) and accepts our certificate',
    );
  return null;
}

/** gRPC status numbers that decide something. */
const grpc = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** What a gRPC status other than OK means for the device. `details` is the status text, the device's or the client's own. */
export function classifyRpcFailure(status: { readonly code: number; readonly details: string }): DeviceFailure {
  const said = status.details === '' ? `gRPC status ${status.code}` : status.details;
  const failure = (code: DeviceErrorCode, text: string, retry: 'soon' | 'slowly'): DeviceFailure => ({
    code,
    detail: printable(text),
    retry,
  });
  switch (status.code) {
    case grpc.unauthenticated:
      return failure('UNAUTHENTICATED', `the device refused our credentials: ${said}; correct credentials`, 'slowly');
    case grpc.permissionDenied:
      return failure(
        'PERMISSION_DENIED',
        `the device denies this user the request: ${said}; give the user read rights`,
        'slowly',
      );
    case grpc.unimplemented:
    case grpc.invalidArgument:
      return /encoding/i.test(said)
        ? failure(
            'ENCODING_UNSUPPORTED',
            `the device does not speak the asked encoding: ${said}; leave encoding out, or name one that the device offers`,
            'slowly',
          )
        : failure('SUBSCRIPTION_REFUSED', `the device refused the subscriptions: ${said}`, 'slowly');
    case grpc.notFound:
    case grpc.failedPrecondition:
      return failure('SUBSCRIPTION_REFUSED', `the device refused the subscriptions: ${said}`, 'soon');
    case grpc.resourceExhausted:
      return classifyExhausted(said);
    default:
      return failure('UNREACHABLE', said, 'soon');
  }
}

function classifyExhausted(said: string): DeviceFailure {
  const tooLarge = /larger than max \((\d+) vs (\d+)\)/.exec(said);
  if (tooLarge !== null) {
    const detail = `the device sent a message of ${tooLarge[1] ?? '?'} bytes, more than maxMessageBytes ${tooLarge[2] ?? '?'}; raise it, or subscribe to less at a time`;
    return { code: 'MESSAGE_TOO_LARGE', detail, retry: 'slowly' };
  }
  // grpc-js' text for HTTP/2 ENHANCE_YOUR_CALM (T12): the connection is at fault, not the number of subscriptions.
  if (said.startsWith('Bandwidth exhausted')) return { code: 'UNREACHABLE', detail: printable(said), retry: 'soon' };
  return {
    code: 'SUBSCRIPTION_LIMIT',
    detail: printable(`the device has no room for another subscription: ${said}`),
    retry: 'soon',
  };
}
