import { test } from '@jest/globals';
import { deviceCodec } from '../../schemas/device.ts';
import { subscriptionModes } from '../../schemas/subscription.ts';
import { anyDevice } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

test('device records are what the .proto file says', () => {
  checkRecord(deviceCodec, anyDevice, { mode: subscriptionModes });
});
