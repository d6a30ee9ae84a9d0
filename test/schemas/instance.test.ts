import { test } from '@jest/globals';
import fc from '../support/properties.ts';
import { instanceCodec } from '../../schemas/instance.ts';
import { anyText, int64, uint32, uint64, wholeMs } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

test('instance records are what the .proto file says', () => {
  const slot = fc.record({ slot: uint32, epoch: uint64, seq: uint64, stalenessMs: wholeMs });
  const instance = fc.record({
    instance: anyText,
    role: anyText,
    incarnation: anyText,
    http: anyText,
    gnmi: anyText,
    zone: anyText,
    version: anyText,
    startedAtNs: int64,
    draining: fc.boolean(),
    load: uint32,
    slots: fc.array(slot, { maxLength: 5 }),
  });
  checkRecord(instanceCodec, instance);
});
