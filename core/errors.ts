/**
 * One error class, one code per operator action. `docs/errors.md` says for every code what it means and what to do;
 * a test compares the two lists.
 */
export const errorCodes = [
  // processes
  'SETTING_UNKNOWN',
  'SETTING_INVALID',
  'LISTEN_IN_USE',
  'KAFKA_UNREACHABLE',
  'KAFKA_DENIED',
  'TOPIC_MISSING',
  'TOPIC_MISMATCH',
  'SCHEMA_COLLISION',
  'REGISTRY_UNREACHABLE',
  'INSTANCE_ID_TAKEN',
  'PLAN_INVALID',
  'FENCED',
  'LEASE_LOST',
  'INTERNAL',
  // requests
  'PATH_MALFORMED',
  'CURSOR_MALFORMED',
  'PARAMETER_INVALID',
  'BODY_INVALID',
  'DEVICE_UNKNOWN',
  'PROFILE_UNKNOWN',
  'INSTANCE_UNKNOWN',
  'ROUTE_UNKNOWN',
  'METHOD_NOT_ALLOWED',
  'PROFILE_IN_USE',
  'PRECONDITION_FAILED',
  'BODY_TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
  'LIMIT_EXCEEDED',
  'TOO_STALE',
  'NOT_CAUGHT_UP',
  'KAFKA_UNAVAILABLE',
  // device sessions
  'UNREACHABLE',
  'TLS_UNTRUSTED',
  'TLS_EXPIRED',
  'TLS_NAME',
  'TLS_PROTOCOL',
  'CREDENTIALS_INVALID',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'ENCODING_UNSUPPORTED',
  'SUBSCRIPTION_REFUSED',
  'SUBSCRIPTION_LIMIT',
  'SYNC_TIMEOUT',
  'RECEIVE_TIMEOUT',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_MALFORMED',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export type Facts = Readonly<Record<string, string | number | boolean | bigint | null | readonly string[]>>;

export interface HoldfastErrorOptions {
  /** A repeat of the same call may succeed without anybody changing anything. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** What an operator needs to act; never a secret. */
  readonly facts?: Facts;
}

export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly facts: Facts;

  /** `message` says what is wrong *and* what to do about it, in one line. */
  constructor(code: ErrorCode, message: string, options: HoldfastErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HoldfastError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.facts = options.facts ?? {};
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
