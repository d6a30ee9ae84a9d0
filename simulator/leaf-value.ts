import { type TypedValue } from '../schemas/value.ts';
import { seededRandom } from '../core/random.ts';

/**
 * Values of leaves as a function of (device, leaf, version): nothing is stored, everything is computed when asked for, and
 * the same seed and device name give the same values on every machine.
 *
 * V1. Two consecutive versions of a leaf that changes have different values, so a change on the wire is a change.
 */
export interface DeviceIdentity {
  readonly name: string;
  /** 32 bits of the fleet's seed and the name. */
  readonly hash: number;
}

export interface LeafValue {
  (identity: DeviceIdentity, leafHash: number, version: number): TypedValue;
}

export function deviceIdentity(seed: number, name: string): DeviceIdentity {
  return { name, hash: mix(hashText(name), seed >>> 0) };
}

/** FNV-1a, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export function mix(a: number, b: number): number {
  let mixed = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ b;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** A 64-bit counter as two halves, because the hot path writes twenty of them per notification. */
export class CounterHalves {
  high = 0;
  low = 0;

  /** Base and step are chosen by device and leaf; a big counter starts above 2^53. Wraps at 2^64 like the real ones. */
  set(deviceHash: number, leafHash: number, version: number, big: boolean): void {
    const chosen = mix(deviceHash, leafHash);
    const baseHigh = big ? (0x00200000 | (chosen & 0x7fffffff)) >>> 0 : 0;
    const baseLow = mix(chosen, 1);
    const step = 1000 + (mix(chosen, 2) % 900_000);
    const added = step * version; // below 2^20 × 2^32, exact
    const low = baseLow + (added % 4_294_967_296);
    this.low = low >>> 0;
    this.high = (baseHigh + Math.floor(added / 4_294_967_296) + (low > 0xffffffff ? 1 : 0)) >>> 0;
  }
}

const halves = new CounterHalves();

export function counterValue(deviceHash: number, leafHash: number, version: number, big: boolean): bigint {
  halves.set(deviceHash, leafHash, version, big);
  return (BigInt(halves.high) << 32n) | BigInt(halves.low);
}

const string = (value: string): TypedValue => ({ kind: 'string', value });

/** The same for every device and version. */
export const constant =
  (value: TypedValue): LeafValue =>
  () =>
    value;

export const text =
  (of: (identity: DeviceIdentity) => string): LeafValue =>
  (identity) =>
    string(of(identity));

/** Goes round a list; the first is the value of a device at rest. */
export const choice =
  (...values: readonly string[]): LeafValue =>
  (_, __, version) =>
    string(values[version % values.length] ?? '');

/** A measurement between `low` and `low + 20` with one digit, as a double. */
export const gauge =
  (low: number): LeafValue =>
  (identity, leafHash, version) => ({
    kind: 'double',
    value: low + ((mix(identity.hash, leafHash) + version * 7) % 200) / 10,
  });

/** A time in nanoseconds since 1970, where neighbouring JS numbers are 256 apart: odd on purpose. */
export const timeNs: LeafValue = (identity, leafHash, version) => ({
  kind: 'uint',
  value: 1_787_000_000_000_000_001n + BigInt(mix(identity.hash, leafHash)) + BigInt(version) * 1_000_000_007n,
});

/** A JSON document of about `bytes` bytes, as a device sends a whole subtree in one value. */
export const blob =
  (bytes: number): LeafValue =>
  (identity, leafHash, version) => {
    const random = seededRandom(mix(identity.hash, leafHash));
    const entries: string[] = [];
    for (let length = 0; length < bytes; length += entries.at(-1)?.length ?? bytes) {
      const address = `10.${Math.floor(random.next() * 256)}.${entries.length % 256}.0/24`;
      const packets = `"${18_000_000_000_000_000_000n + BigInt(entries.length * 1000 + version)}"`;
      entries.push(`{"prefix":"${address}","next-hop":"192.0.2.${entries.length % 254}","packets":${packets}}`);
    }
    const document = `{"openconfig-network-instance:routes":{"revision":${version},"route":[${entries.join(',')}]}}`;
    return { kind: 'json_ietf', value: Buffer.from(document) };
  };

const doubles = [0.1, -2.5, Number.NaN, 1e300, Number.POSITIVE_INFINITY, 5e-324, Number.NEGATIVE_INFINITY];

/** One generator per kind of TypedValue, by the name of the leaf below `/simulator/values`. */
export const everyKind: Readonly<Record<string, LeafValue>> = {
  string: (identity, _, version) => string(`${identity.name} says "ünïcode" ${version}`),
  int: (_, __, version) => ({ kind: 'int', value: -9_223_372_036_854_775_808n + BigInt(version) }),
  uint: (_, __, version) => ({ kind: 'uint', value: 18_446_744_073_709_551_615n - BigInt(version) }),
  bool: (_, __, version) => ({ kind: 'bool', value: version % 2 === 1 }),
  bytes: (identity, _, version) => ({
    kind: 'bytes',
    value: Buffer.from([0, 255, identity.hash & 255, version & 255]),
  }),
  float: (_, __, version) => ({ kind: 'float', value: Math.fround(0.1 + version) }),
  double: (_, __, version) => ({ kind: 'double', value: doubles[version % doubles.length] ?? 0 }),
  decimal: (_, __, version) => ({ kind: 'decimal', digits: -9_007_199_254_740_993n - BigInt(version), precision: 18 }),
  leaflist: (_, __, version) => ({
    kind: 'leaflist',
    values: [string('first'), { kind: 'uint', value: BigInt(version) }, { kind: 'bool', value: false }],
  }),
  'empty-leaflist': constant({ kind: 'leaflist', values: [] }),
  any: (_, __, version) => ({
    kind: 'any',
    typeUrl: 'type.googleapis.com/simulator.Unknown',
    value: Buffer.from([8, version & 127]),
  }),
  json: constant({ kind: 'json', value: Buffer.from('{"counter": 9007199254740993, "list": [1, null]}\n') }),
  'json-ietf': (_, __, version) => ({
    kind: 'json_ietf',
    value: Buffer.from(`"${9_007_199_254_740_993n + BigInt(version)}"`),
  }),
  ascii: (_, __, version) => ({ kind: 'ascii', value: `show version\nuptime ${version}` }),
  'proto-bytes': (_, __, version) => ({ kind: 'proto_bytes', value: Buffer.from([10, 1, version & 255]) }),
};
