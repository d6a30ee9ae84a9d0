import { HoldfastError, messageOf } from '../errors.ts';

/**
 * What a broker, or the way to it, can answer: one table from Kafka's error codes to what the code above may do about
 * them. kafkajs' own table ends at 88 and calls everything newer unknown; this one is ours.
 */

/**
 * - `protocol`: the broker answered with a code.
 * - `transport`: the connection failed or was destroyed; whether the request arrived is unknown.
 * - `timeout`: no answer in time; the same uncertainty. Its connection is destroyed already.
 * - `denied`: the broker refused who we are (TLS or SASL); repeating does not help.
 */
export type KafkaErrorKind = 'protocol' | 'transport' | 'timeout' | 'denied';

/** Code, name, whether a repeat can succeed, and whether our picture of the cluster is out of date. */
type CodeRow = readonly [code: number, name: string, retriable?: 'retriable' | 'final', metadata?: 'refresh'];

const codeRows: readonly CodeRow[] = [
  [-1, 'UNKNOWN_SERVER_ERROR', 'retriable'],
  [1, 'OFFSET_OUT_OF_RANGE'],
  [2, 'CORRUPT_MESSAGE', 'retriable'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'retriable', 'refresh'],
  [5, 'LEADER_NOT_AVAILABLE', 'retriable', 'refresh'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'retriable', 'refresh'],
  [7, 'REQUEST_TIMED_OUT', 'retriable'],
  [8, 'BROKER_NOT_AVAILABLE', 'retriable', 'refresh'],
  [9, 'REPLICA_NOT_AVAILABLE', 'retriable', 'refresh'],
  [10, 'MESSAGE_TOO_LARGE'],
  [13, 'NETWORK_EXCEPTION', 'retriable', 'refresh'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', 'retriable'],
  [15, 'COORDINATOR_NOT_AVAILABLE', 'retriable'],
  [16, 'NOT_COORDINATOR', 'retriable'],
  [17, 'INVALID_TOPIC_EXCEPTION'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [19, 'NOT_ENOUGH_REPLICAS', 'retriable'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'retriable'],
  [22, 'ILLEGAL_GENERATION'],
  [23, 'INCONSISTENT_GROUP_PROTOCOL'],
  [24, 'INVALID_GROUP_ID'],
  [25, 'UNKNOWN_MEMBER_ID'],
  [26, 'INVALID_SESSION_TIMEOUT'],
  [27, 'REBALANCE_IN_PROGRESS'],
  [28, 'INVALID_COMMIT_OFFSET_SIZE'],
  [29, 'TOPIC_AUTHORIZATION_FAILED'],
  [30, 'GROUP_AUTHORIZATION_FAILED'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED'],
  [32, 'INVALID_TIMESTAMP'],
  [33, 'UNSUPPORTED_SASL_MECHANISM'],
  [34, 'ILLEGAL_SASL_STATE'],
  [35, 'UNSUPPORTED_VERSION'],
  [36, 'TOPIC_ALREADY_EXISTS'],
  [37, 'INVALID_PARTITIONS'],
  [38, 'INVALID_REPLICATION_FACTOR'],
  [39, 'INVALID_REPLICA_ASSIGNMENT'],
  [40, 'INVALID_CONFIG'],
  [41, 'NOT_CONTROLLER', 'retriable', 'refresh'],
  [42, 'INVALID_REQUEST'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
  [44, 'POLICY_VIOLATION'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER'],
  [47, 'INVALID_PRODUCER_EPOCH'],
  [48, 'INVALID_TXN_STATE'],
  [49, 'INVALID_PRODUCER_ID_MAPPING'],
  [50, 'INVALID_TRANSACTION_TIMEOUT'],
  [51, 'CONCURRENT_TRANSACTIONS', 'retriable'],
  [53, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  [54, 'SECURITY_DISABLED'],
  [56, 'KAFKA_STORAGE_ERROR', 'retriable', 'refresh'],
  [58, 'SASL_AUTHENTICATION_FAILED'],
  [59, 'UNKNOWN_PRODUCER_ID'],
  [69, 'GROUP_ID_NOT_FOUND'],
  [70, 'FETCH_SESSION_ID_NOT_FOUND', 'retriable'],
  [71, 'INVALID_FETCH_SESSION_EPOCH', 'retriable'],
  [72, 'LISTENER_NOT_FOUND', 'retriable', 'refresh'],
  [74, 'FENCED_LEADER_EPOCH', 'retriable', 'refresh'],
  [75, 'UNKNOWN_LEADER_EPOCH', 'retriable', 'refresh'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE'],
  [78, 'OFFSET_NOT_AVAILABLE', 'retriable'],
  [79, 'MEMBER_ID_REQUIRED'],
  [81, 'GROUP_MAX_SIZE_REACHED'],
  [82, 'FENCED_INSTANCE_ID'],
  [87, 'INVALID_RECORD'],
  [88, 'UNSTABLE_OFFSET_COMMIT', 'retriable'],
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'retriable'],
  [90, 'PRODUCER_FENCED'],
  [100, 'UNKNOWN_TOPIC_ID', 'retriable', 'refresh'],
  [103, 'INCONSISTENT_TOPIC_ID', 'retriable', 'refresh'],
  [110, 'FENCED_MEMBER_EPOCH'],
  [113, 'STALE_MEMBER_EPOCH'],
  [120, 'TRANSACTION_ABORTABLE'],
];

export interface KafkaErrorFacts {
  readonly name: string;
  readonly retriable: boolean;
  /** The leader or the broker moved: ask for metadata before the next attempt. */
  readonly staleMetadata: boolean;
}

const factsOfCode: ReadonlyMap<number, KafkaErrorFacts> = new Map(
  codeRows.map(([code, name, retriable, metadata]) => [
    code,
    { name, retriable: retriable === 'retriable', staleMetadata: metadata === 'refresh' },
  ]),
);

/** Authorization codes, with the ACL that is missing. */
const missingAcls: ReadonlyMap<number, string> = new Map([
  [29, 'Describe, Read and Write on the topic'],
  [30, 'Read on the group'],
  [31, 'Create on the topics, or Describe on the cluster'],
  [53, 'Write and Describe on the transactional id'],
]);

/** What else an operator can do. A broker takes no record that is more than an hour ahead of its own clock. */
export const invalidTimestamp = 32;
const remedies: ReadonlyMap<number, string> = new Map([
  [invalidTimestamp, "this machine's clock and the broker's are over an hour apart: set them right (NTP)"],
  [56, "look at the broker's log and its disks: full, or failed"],
]);

/** Facts of an error code of the Kafka protocol; unknown codes are final and named by their number. */
export function factsOf(code: number): KafkaErrorFacts {
  return factsOfCode.get(code) ?? { name: `KAFKA_ERROR_${code}`, retriable: false, staleMetadata: false };
}

export class KafkaError extends Error {
  readonly kind: KafkaErrorKind;
  /** Kafka's error code; 0 where no broker answered. */
  readonly code: number;
  readonly retriable: boolean;
  readonly staleMetadata: boolean;

  constructor(kind: KafkaErrorKind, name: string, message: string, rest: KafkaErrorRest = {}) {
    super(message, rest.cause === undefined ? undefined : { cause: rest.cause });
    this.kind = kind;
    this.name = name;
    this.code = rest.code ?? 0;
    this.retriable = rest.retriable ?? (kind === 'transport' || kind === 'timeout');
    this.staleMetadata = rest.staleMetadata ?? (kind === 'transport' || kind === 'timeout');
  }
}

interface KafkaErrorRest {
  readonly code?: number;
  readonly retriable?: boolean;
  readonly staleMetadata?: boolean;
  readonly cause?: unknown;
}

/** The error of a code that a broker answered; `about` says of what (a topic and partition, a group). */
export function kafkaErrorOfCode(code: number, about: string): KafkaError {
  const facts = factsOf(code);
  const acl = missingAcls.get(code);
  const remedy = acl === undefined ? remedies.get(code) : `grant ${acl}`;
  const message = `${facts.name} (${code}) for ${about}${remedy === undefined ? '' : `: ${remedy}`}`;
  return new KafkaError('protocol', facts.name, message, { code, ...facts });
}

/** Any failure of a request as a `KafkaError`: a code, or what the client threw. */
export function kafkaError(codeOrThrown: unknown, about = 'request'): KafkaError {
  if (typeof codeOrThrown === 'number') return kafkaErrorOfCode(codeOrThrown, about);
  if (codeOrThrown instanceof KafkaError) return codeOrThrown;
  const cause = codeOrThrown;
  const message = `${about}: ${messageOf(cause)}`;
  const name = cause instanceof Error ? cause.name : '';
  if (name === 'KafkaJSSASLAuthenticationError') return new KafkaError('denied', 'DENIED', message, { cause });
  if (name === 'KafkaJSRequestTimeoutError' || name === 'KafkaJSLockTimeout') {
    return new KafkaError('timeout', 'TIMEOUT', message, { cause });
  }
  const code = codeIn(cause);
  if (code !== undefined)
    return new KafkaError('protocol', factsOf(code).name, message, { code, ...factsOf(code), cause });
  return new KafkaError('transport', 'CONNECTION', message, { cause });
}

function codeIn(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'number' ? thrown.code : undefined;
}

/** Refusals that only an operator can lift. */
export function isDenied(error: KafkaError): boolean {
  return error.kind === 'denied' || missingAcls.has(error.code) || [33, 34, 58].includes(error.code);
}

/** For what leaves `core/kafka`: our code for anything that was thrown there. */
export function toHoldfastError(thrown: unknown): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const error = kafkaError(thrown);
  const facts = { kafkaError: error.name, kafkaCode: error.code };
  if (isDenied(error)) {
    return new HoldfastError('KAFKA_DENIED', `Kafka refused us: ${error.message}`, { cause: error, facts });
  }
  if (error.kind !== 'protocol') {
    const message = `Kafka is not reachable: ${error.message}`;
    return new HoldfastError('KAFKA_UNREACHABLE', message, { cause: error, facts, retryable: true });
  }
  const message = `Kafka answered ${error.message}`;
  const retryable = error.retriable;
  return new HoldfastError('KAFKA_UNAVAILABLE', message, { cause: error, facts, retryable });
}

/** A record that the broker refuses by itself, for what it is. */
export function recordRefusal(code: number, about: string): HoldfastError {
  const error = kafkaErrorOfCode(code, about);
  const tooLarge = code === 10 || code === 18;
  if (!tooLarge) return toHoldfastError(error);
  const message = `${error.message}: shorten the record, or raise max.message.bytes of the topic`;
  return new HoldfastError('MESSAGE_TOO_LARGE', message, { cause: error });
}
