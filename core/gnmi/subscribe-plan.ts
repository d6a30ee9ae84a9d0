/**
 * A `SubscriptionList` checked against what a server can do, as data for the stream that serves it. Pure: everything that
 * must be refused is decided here, before anything is sent. Rule ids are those of the gNMI rules the tests cite.
 */
import { type GnmiEncoding, type GnmiSubscription, type SubscriptionList } from '../../schemas/gnmi.ts';
import { formatPath, type Path } from '../../schemas/path.ts';
import { invalid, isRefusal, type Refusal, unimplemented } from './refusal.ts';
import { joinedPath, type ResponseForm, responseForm } from './response-form.ts';

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
  readonly form: ResponseForm;
  readonly subscriptions: readonly PlannedSubscription[];
  /** What was accepted and has no effect, in words for a log line (M13, T23). */
  readonly ignored: readonly string[];
}

export interface SubscribeLimits {
  readonly offers: readonly GnmiEncoding[];
  /** Shortest interval served; 0 in a request means this one (M5). */
  readonly sampleIntervalMsMin: number;
}

export function planSubscribe(list: SubscriptionList, limits: SubscribeLimits): SubscribePlan | Refusal {
  if (list.subscription.length === 0) return invalid('the subscription list is empty'); // S3
  if (list.useModels.length > 0) return unimplemented('use_models is not supported'); // E9
  const paths = list.subscription.map((one) => one.path);
  const form = responseForm(list.prefix, paths, list.encoding, limits.offers);
  if (isRefusal(form)) return form;
  const ignored = new Set<string>();
  if (list.qos !== undefined) ignored.add('qos'); // T23
  const subscriptions: PlannedSubscription[] = [];
  for (const subscription of list.subscription) {
    const planned = planSubscription(subscription, list, limits, ignored);
    if (isRefusal(planned)) return planned;
    subscriptions.push(planned);
  }
  return { mode: list.mode, updatesOnly: list.updatesOnly, form, subscriptions, ignored: [...ignored] };
}

function planSubscription(
  subscription: GnmiSubscription,
  list: SubscriptionList,
  limits: SubscribeLimits,
  ignored: Set<string>,
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
    return invalid(`sample_interval of ${subscription.sampleInterval} ns is below the shortest of ${min} ms`); // M6
  }
  if (streams && heartbeatMs > 0 && heartbeatMs < min) {
    return invalid(`heartbeat_interval of ${subscription.heartbeatInterval} ns is below the shortest of ${min} ms`); // M6
  }
  if (!sample && intervalMs > 0) ignored.add('sample_interval'); // M13
  if (!sample && subscription.suppressRedundant) ignored.add('suppress_redundant'); // M13
  return {
    path: joinedPath(list.prefix, subscription.path),
    mode: sample ? 'sample' : 'on-change',
    intervalMs: intervalMs === 0 ? min : intervalMs,
    suppressRedundant: sample && subscription.suppressRedundant, // M13
    heartbeatMs,
  };
}

/** Equal for plans that see the same of every change. */
export function viewKey({ form, subscriptions }: SubscribePlan): string {
  const head = [form.values, form.prefixOrigin, form.target, ...form.pathOrigins].map((part) => JSON.stringify(part));
  return [...head, ...subscriptions.map((one) => `${one.mode} ${formatPath(one.path)}`)].join('\n');
}

/** Nanoseconds to milliseconds with their fraction; beyond 2^53 ns (104 days) a fraction no longer matters (M10). */
function milliseconds(ns: bigint): number {
  return Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;
}
