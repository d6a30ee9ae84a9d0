import { messageOf } from '../core/errors.ts';
import { type Device } from '../schemas/device.ts';
import { gnmi, type GnmiEncoding, type GnmiSubscriptionMode, type ModelData } from '../schemas/gnmi.ts';
import { normaliseOrigin, parsePath, PathMalformed, type Path } from '../schemas/path.ts';
import { type Profile } from '../schemas/profile.ts';
import { type EncodingName, encodingNames, type Subscription } from '../schemas/subscription.ts';
import { MessageMalformed } from '../schemas/wire-reader.ts';
import { type DeviceFailure } from './transport.ts';

/**
 * From a device's wishes to the Subscribe RPCs that carry them. Pure.
 *
 * Q1. Subscriptions of one encoding, one `updates_only` and one origin share an RPC (S5: some devices cap their number); the
 *     list mode is always STREAM, and the prefix only names the device.
 * Q2. RPCs are numbered 1, 2, 3 … in the order of the record; a session with a single one numbers it 0 (header `rpc`).
 * Q3. A subscription that occurs twice in one RPC is sent once.
 */
export interface PlannedRpc {
  readonly rpc: number;
  readonly encoding: EncodingName;
  readonly updatesOnly: boolean;
  readonly subscriptions: readonly Subscription[];
  /** Encoded `SubscribeRequest`. */
  readonly request: Buffer;
}

export type RpcPlan =
  | { readonly kind: 'rpcs'; readonly rpcs: readonly PlannedRpc[] }
  | { readonly kind: 'impossible'; readonly failure: DeviceFailure };

/** What a device says of itself in Capabilities. */
export interface DeviceOffer {
  readonly gnmiVersion: string;
  /** In gNMI's order; empty if it named none. */
  readonly encodings: readonly EncodingName[];
  readonly models: readonly ModelData[];
}

const wireEncodings: Readonly<Record<EncodingName, GnmiEncoding>> = {
  proto: 'PROTO',
  json_ietf: 'JSON_IETF',
  json: 'JSON',
  ascii: 'ASCII',
  bytes: 'BYTES',
};

const wireModes: Readonly<Record<Subscription['mode'], GnmiSubscriptionMode>> = {
  'target-defined': 'TARGET_DEFINED',
  'on-change': 'ON_CHANGE',
  sample: 'SAMPLE',
};

/** `null`: not a CapabilityResponse; subscribing is worth a try all the same (E2). */
export function decodeOffer(bytes: Buffer): DeviceOffer | null {
  try {
    const { gnmiVersion, supportedEncodings, supportedModels } = gnmi.CapabilityResponse.decode(bytes);
    const encodings = encodingNames.filter((name) => supportedEncodings.includes(wireEncodings[name]));
    return { gnmiVersion, encodings, models: supportedModels };
  } catch (thrown) {
    if (thrown instanceof MessageMalformed) return null;
    throw thrown;
  }
}

/** The encoding to ask for: what the record forces, else the best on offer, else JSON, which every device speaks (E3, E4). */
export function chooseEncoding(wanted: string, offer: DeviceOffer | null): EncodingName {
  const forced = encodingNames.find((name) => name === wanted);
  if (forced !== undefined) return forced;
  return encodingNames.find((name) => offer?.encodings.includes(name) === true) ?? 'json'; // names are in order of preference
}

interface Group {
  readonly encoding: EncodingName;
  readonly updatesOnly: boolean;
  readonly subscriptions: Map<string, { readonly subscription: Subscription; readonly path: Path }>;
}

/** `profiles` are those the device names, in its order. */
export function planRpcs(device: Device, profiles: readonly Profile[], offer: DeviceOffer | null): RpcPlan {
  const groups = new Map<string, Group>();
  const add = (subscriptions: readonly Subscription[], encoding: string, updatesOnly: boolean): void => {
    const chosen = chooseEncoding(encoding, offer);
    for (const subscription of subscriptions) {
      const path = parsePath(subscription.path);
      const id = `${chosen} ${updatesOnly} ${normaliseOrigin(path.origin)}`; // Q1
      const group = groups.get(id) ?? { encoding: chosen, updatesOnly, subscriptions: new Map() };
      groups.set(id, group);
      group.subscriptions.set(JSON.stringify(Object.values(subscription)), { subscription, path }); // Q3
    }
  };
  try {
    for (const profile of profiles)
      add(profile.subscriptions, profile.encoding || device.encoding, profile.updatesOnly);
    add(device.subscriptions, device.encoding, false);
  } catch (thrown) {
    if (!(thrown instanceof PathMalformed)) throw thrown;
    return { kind: 'impossible', failure: refused(messageOf(thrown)) };
  }
  if (groups.size === 0)
    return {
      kind: 'impossible',
      failure: refused('no subscriptions: add profiles or subscriptions to the device record'),
    };
  const several = groups.size > 1;
  const rpcs = [...groups.values()].map((group, index) => planned(group, several ? index + 1 : 0, device.name)); // Q2
  return { kind: 'rpcs', rpcs };
}

function refused(detail: string): DeviceFailure {
  return { code: 'SUBSCRIPTION_REFUSED', detail, retry: 'slowly' };
}

function planned(group: Group, rpc: number, device: string): PlannedRpc {
  const members = [...group.subscriptions.values()];
  const request = gnmi.SubscribeRequest.encode({
    subscribe: {
      prefix: { target: device },
      mode: 'STREAM',
      encoding: wireEncodings[group.encoding],
      updatesOnly: group.updatesOnly,
      subscription: members.map(({ subscription, path }) => ({
        path,
        mode: wireModes[subscription.mode],
        // M9, M13: a field that does not fit the mode is an error at some devices.
        sampleInterval: subscription.mode === 'sample' ? nanoseconds(subscription.intervalMs) : 0n,
        suppressRedundant: subscription.mode === 'sample' && subscription.suppressRedundant,
        heartbeatInterval: nanoseconds(subscription.heartbeatMs),
      })),
    },
  });
  const { encoding, updatesOnly } = group;
  return { rpc, encoding, updatesOnly, subscriptions: members.map(({ subscription }) => subscription), request };
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1_000_000n;
}
