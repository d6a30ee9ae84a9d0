import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { type MarkerSubscription, emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { recordKinds } from '../../schemas/position.ts';
import { subscriptionModes } from '../../schemas/subscription.ts';
import { anySubscription, anyText, int64, uint32, uint64, wholeMs } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

const subscription: fc.Arbitrary<MarkerSubscription> = fc.record(
  { rpc: uint32, updatesOnly: fc.boolean(), subscription: anySubscription },
  { requiredKeys: ['rpc', 'updatesOnly'] },
);

test('marker records are what the .proto file says', () => {
  const marker = fc.record({
    kind: fc.constantFrom(...recordKinds),
    device: anyText,
    reason: anyText,
    detail: anyText,
    subscriptions: fc.array(subscription, { maxLength: 3 }),
    encoding: anyText,
    address: anyText,
    instance: anyText,
    incarnation: anyText,
    lost: uint64,
    lostFromNs: int64,
    lostToNs: int64,
    lagMs: wholeMs,
  });
  checkRecord(markerCodec, marker, { kind: recordKinds, mode: subscriptionModes });
});

test('an empty marker says its kind and nothing else', () => {
  expect(markerCodec.encode(emptyMarker('owner')).toString('hex')).toBe('0805');
  expect(markerCodec.decode(Buffer.from('0805', 'hex'))).toEqual(emptyMarker('owner'));
});
