import { status } from '@grpc/grpc-js';
import { type GnmiEncoding, type GnmiSubscription, type SubscriptionList } from '../schemas/gnmi.ts';
import { formatPath, normaliseOrigin, type Path } from '../schemas/path.ts';
import { type NotificationForm, type ValueForm } from './notification-encoder.ts';
import { encodeOriginAndTarget } from './wire-path.ts';

/**
 * A `SubscriptionList` checked against what a device can do, as data for the stream that serves it. Pure: everything a
 * server must refuse is decided here, before anything is sent. Rule ids are those of the gNMI rules the tests cite.
 */
export interface Refusal {
  /** A gRPC status. */
  readonly code: number;
  readonly details: string;
}

export interface PlannedSubscription {
  /** Prefix and path joined, origin normalised. */
  readonly path: Path;
  readonly mode: 'on-change' | 'sample';
  /** Only for sample. */
  readonly intervalMs: number;
  readonly suppressRedundant: boolean;
  /** 0: none. */
  readonly heartbeatMs: number;
}

export interface SubscribePlan {
  readonly mode: SubscriptionList['mode'];
  readonly updatesOnly: boolean;
  readonly form: NotificationForm;
  readonly subscriptions: readonly PlannedSubscription[];
  /** Equal for requests that see the same of every change. */
  readonly key: string;
}

export interface SubscribeLimits {
  readonly deviceName: string;
  readonly offers: readonly GnmiEncoding[];
  /** What the values are in whatever was asked for: the fault of a device that ignores the encoding. */
  readonly sends: ValueForm | null;
  /** Shortest interval served; 0 in a request means this one (M5). */
  readonly sampleIntervalMsMin: number;
}

export function isRefusal(result: object): result is Refusal {
  return 'code' in result;
}

const invalid = (details: string): Refusal => ({ code: status.INVALID_ARGUMENT, details });
const unimplemented = (details: string): Refusal => ({ code: status.UNIMPLEMENTED, details });

export function planSubscribe(list: SubscriptionList, limits: SubscribeLimits): SubscribePlan | Refusal {
  if (list.subscription.length === 0) return invalid('the subscription list is empty'); // S3
  if (list.useModels.length > 0) return unimplemented('use_models is not supported'); // E9
  const form = responseForm(
    list.prefix,
    list.subscription.map((one) => one.path),
    list.encoding,
    limits,
  );
  if (isRefusal(form)) return form;
  const subscriptions: PlannedSubscription[] = [];
  for (const subscription of list.subscription) {
    const planned = planSubscription(subscription, list, limits);
    if (isRefusal(planned)) return planned;
    subscriptions.push(planned);
  }
  const onChange = subscriptions.map((one) => `${one.mode} ${formatPath(one.path)}`);
  const head = [form.values, form.prefix.toString('hex'), form.pathHead.toString('hex')];
  return {
    mode: list.mode,
    updatesOnly: list.updatesOnly,
    form,
    subscriptions,
    key: [...head, ...onChange].join('\n'),
  };
}

function planSubscription(
  subscription: GnmiSubscription,
  list: SubscriptionList,
  limits: SubscribeLimits,
): PlannedSubscription | Refusal {
  const sample = subscription.mode === 'SAMPLE';
  const streams = list.mode === 'STREAM';
  const intervalMs = milliseconds(subscription.sampleInterval);
  const heartbeatMs = milliseconds(subscription.heartbeatInterval);
  const min = limits.sampleIntervalMsMin;
  if (streams && subscription.mode === 'TARGET_DEFINED' && intervalMs > 0) {
    return invalid('sample_interval does not go with TARGET_DEFINED'); // M9
  }
  if (streams && sample && intervalMs > 0 && intervalMs < min) {
    return invalid(`sample_interval of ${subscription.sampleInterval} ns is below the ${min} ms this device can do`); // M6
  }
  if (streams && heartbeatMs > 0 && heartbeatMs < min) {
    return invalid(`heartbeat_interval of ${subscription.heartbeatInterval} ns is below ${min} ms`); // M6
  }
  return {
    path: joinedPath(list.prefix, subscription.path),
    mode: sample ? 'sample' : 'on-change',
    intervalMs: intervalMs === 0 ? min : intervalMs,
    suppressRedundant: sample && subscription.suppressRedundant, // M13
    heartbeatMs,
  };
}

/** How responses spell origin and target (N4): the origin goes where the request has it, the target is echoed. */
export function responseForm(
  prefix: Path | undefined,
  paths: readonly (Path | undefined)[],
  encoding: GnmiEncoding,
  limits: Pick<SubscribeLimits, 'deviceName' | 'offers' | 'sends'>,
): NotificationForm | Refusal {
  const prefixOrigin = prefix?.origin ?? '';
  const pathOrigins = new Set(paths.map((path) => path?.origin ?? '').filter((origin) => origin !== ''));
  if (pathOrigins.size > 0 && prefixOrigin !== '') return invalid('origin in the prefix and in a path'); // N8
  if (pathOrigins.size > 0 && (prefix?.elems.length ?? 0) > 0) {
    return invalid('origin in a path while the prefix has elements'); // N8
  }
  if (paths.some((path) => (path?.target ?? '') !== '')) return invalid('target is only allowed in the prefix'); // N4
  if (!limits.offers.includes(encoding)) {
    return unimplemented(`encoding ${encoding} is not supported; this device offers ${limits.offers.join(', ')}`); // E5
  }
  const asked = prefix?.target ?? '';
  return {
    values: limits.sends ?? valueForm(encoding),
    prefix: encodeOriginAndTarget(prefixOrigin, asked === '*' ? limits.deviceName : asked),
    pathHead: pathOrigins.has('openconfig') ? encodeOriginAndTarget('openconfig', '') : noBytes,
  };
}

const noBytes = Buffer.alloc(0);

function valueForm(encoding: GnmiEncoding): ValueForm {
  return encoding === 'JSON' ? 'json' : encoding === 'JSON_IETF' ? 'json_ietf' : 'proto';
}

export function joinedPath(prefix: Path | undefined, path: Path | undefined): Path {
  const origin = prefix?.origin ?? '';
  return {
    origin: normaliseOrigin(origin === '' ? (path?.origin ?? '') : origin),
    target: '',
    elems: [...(prefix?.elems ?? []), ...(path?.elems ?? [])],
  };
}

/** Nanoseconds to milliseconds with their fraction; beyond 2^53 ns (104 days) a fraction no longer matters (M10). */
function milliseconds(ns: bigint): number {
  return Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;
}
