import { test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  type SlotOwnership,
  placementCodec,
  planCodec,
  slotOwnershipCodec,
  slotOwnershipStates,
} from '../../schemas/ownership.ts';
import { anyText, int64, uint32, uint64 } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';

const member = fc.record({
  instance: anyText,
  incarnation: anyText,
  memberId: anyText,
  peer: anyText,
  zone: anyText,
});

test('slot ownership records are what the .proto file says', () => {
  const ownership: fc.Arbitrary<SlotOwnership> = fc.record(
    {
      slot: uint32,
      holder: member,
      state: fc.constantFrom(...slotOwnershipStates),
      epoch: uint64,
      lastSeq: uint64,
      sinceNs: int64,
      reason: anyText,
      fromEpoch: uint64,
      fromSeq: uint64,
    },
    { requiredKeys: ['slot', 'state', 'epoch', 'lastSeq', 'sinceNs', 'reason', 'fromEpoch', 'fromSeq'] },
  );
  checkRecord(slotOwnershipCodec, ownership, { state: slotOwnershipStates });
});

test('plans are what the .proto file says', () => {
  const slot = fc.record({ owner: uint32, standby: uint32, prev: uint32, prevEpoch: uint64, reason: uint32 });
  const plan = fc.record({
    version: uint64,
    generation: fc.integer(),
    members: fc.array(member, { maxLength: 3 }),
    slots: fc.array(slot, { maxLength: 5 }),
    leader: uint32,
  });
  checkRecord(planCodec, plan);
});

test('placements are what the .proto file says', () => {
  const placement = fc.record({
    instance: anyText,
    drain: fc.boolean(),
    changedBy: anyText,
    changedAtNs: int64,
    incarnation: anyText,
  });
  checkRecord(placementCodec, placement);
});
