import { test } from '@jest/globals';
import fc from '../support/properties.ts';
import { profileCodec } from '../../schemas/profile.ts';
import { subscriptionModes } from '../../schemas/subscription.ts';
import { anySubscription, anyText, int64 } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

test('profile records are what the .proto file says', () => {
  const profile = fc.record({
    name: anyText,
    encoding: anyText,
    subscriptions: fc.array(anySubscription, { maxLength: 3 }),
    updatesOnly: fc.boolean(),
    explodeJson: fc.boolean(),
    changedBy: anyText,
    changedAtNs: int64,
  });
  checkRecord(profileCodec, profile, { mode: subscriptionModes });
});
