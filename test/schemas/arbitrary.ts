/** Random values of the things schemas/ speaks of. */
import fc from '../support/properties.ts';
import { type Device } from '../../schemas/device.ts';
import { type Path, type PathElem } from '../../schemas/path.ts';
import { type Subscription, subscriptionModes } from '../../schemas/subscription.ts';
import { type TypedValue } from '../../schemas/value.ts';

/** Any text that UTF-8 can hold, rich in the characters path strings treat specially. */
export const anyText = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
  {
    weight: 2,
    arbitrary: fc.string({ unit: fc.constantFrom(...Array.from('\\/[]=:*.\n\r unU0a"é\u{1F600}')), maxLength: 8 }),
  },
  { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', '...', '*', 'name', '') },
);

const keyName = anyText.filter((text) => text !== '');

export const anyElem: fc.Arbitrary<PathElem> = fc.record({
  name: anyText,
  keys: fc.uniqueArray(fc.tuple(keyName, anyText), { maxLength: 3, selector: ([name]) => name }).map((k) => new Map(k)),
});

export const anyElems = fc.array(anyElem, { maxLength: 4 });

export const anyPath: fc.Arbitrary<Path> = fc.record({ origin: anyText, target: fc.constant(''), elems: anyElems });

export const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
export const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 127n, 128n, 2n ** 53n + 1n),
);
export const uint32 = fc.oneof(fc.nat({ max: 0xffff_ffff }), fc.constantFrom(0, 127, 128));
export const wholeMs = fc.oneof(fc.nat(), fc.maxSafeNat());
export const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

export const anyScalar: fc.Arbitrary<TypedValue> = fc.oneof(
  fc.record({ kind: fc.constantFrom('string', 'ascii'), value: anyText }),
  fc.record({ kind: fc.constant('int'), value: int64 }),
  fc.record({ kind: fc.constant('uint'), value: uint64 }),
  fc.record({ kind: fc.constant('bool'), value: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('bytes', 'json', 'json_ietf', 'proto_bytes'), value: anyBytes }),
  fc.record({ kind: fc.constant('float'), value: fc.float() }),
  fc.record({ kind: fc.constant('double'), value: fc.double() }),
  fc.record({ kind: fc.constant('decimal'), digits: int64, precision: uint32 }),
);

export const anyTypedValue: fc.Arbitrary<TypedValue> = fc.oneof(
  { weight: 4, arbitrary: anyScalar },
  {
    weight: 1,
    arbitrary: fc.array(anyScalar, { maxLength: 4 }).map((values) => ({ kind: 'leaflist' as const, values })),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('any' as const), typeUrl: anyText, value: anyBytes }) },
);

export const anySubscription: fc.Arbitrary<Subscription> = fc.record({
  path: anyText,
  mode: fc.constantFrom(...subscriptionModes),
  intervalMs: wholeMs,
  heartbeatMs: wholeMs,
  suppressRedundant: fc.boolean(),
});

/** `__proto__` is left out where protobufjs reads the map into a plain object to compare; gnmi paths have that key. */
export const anyLabels = fc
  .uniqueArray(fc.tuple(anyText, anyText), { maxLength: 3, selector: ([name]) => name })
  .map((entries) => new Map(entries.filter(([name]) => name !== '__proto__')));

const texts = fc.array(anyText, { maxLength: 3 });

export const anyDevice: fc.Arbitrary<Device> = fc.record(
  {
    name: anyText,
    addresses: texts,
    plaintext: fc.boolean(),
    tls: fc.record({ ca: anyText, cert: anyText, key: anyText, serverName: anyText }),
    credentials: fc.record({ username: anyText, password: anyText }),
    labels: anyLabels,
    profiles: texts,
    subscriptions: fc.array(anySubscription, { maxLength: 3 }),
    encoding: anyText,
    disabled: fc.boolean(),
    receiveTimeoutMs: wholeMs,
    orderByReceiveTime: fc.boolean(),
    honourRootDelete: fc.boolean(),
    explodeJson: fc.boolean(),
    changedBy: anyText,
    changedAtNs: int64,
  },
  {
    requiredKeys: [
      'name',
      'addresses',
      'plaintext',
      'labels',
      'profiles',
      'subscriptions',
      'encoding',
      'disabled',
      'receiveTimeoutMs',
      'orderByReceiveTime',
      'honourRootDelete',
      'explodeJson',
      'changedBy',
      'changedAtNs',
    ],
  },
);
