import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { deviceStates, deviceStatusCodec } from '../../schemas/status.ts';
import { anyText, int64, uint64 } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

test('device status records are what the .proto file says', () => {
  const status = fc.record({
    device: anyText,
    state: fc.constantFrom(...deviceStates),
    sinceNs: int64,
    instance: anyText,
    address: anyText,
    code: anyText,
    detail: anyText,
    retryAtNs: int64,
    gnmiVersion: anyText,
    encodings: fc.array(anyText, { maxLength: 3 }),
    models: fc.array(fc.record({ name: anyText, organization: anyText, version: anyText }), { maxLength: 2 }),
    gaps: uint64,
    gapFromNs: int64,
    gapToNs: int64,
  });
  checkRecord(deviceStatusCodec, status, { state: deviceStates });
});

test('a state of a later version reads as unknown', () => {
  expect(deviceStatusCodec.decode(Buffer.from('1063', 'hex')).state).toBe('unknown');
});
