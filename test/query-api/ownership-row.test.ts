import { expect, test } from '@jest/globals';
import { decodeOwnershipRow, newerOwnershipRow, type OwnershipRow } from '../../query-api/ownership-row.ts';
import { planCodec, type SlotOwnership, slotOwnershipCodec } from '../../schemas/ownership.ts';

const slotRow = (epoch: bigint, state: SlotOwnership['state']): OwnershipRow => ({
  kind: 'slot',
  slot: { slot: 1, state, epoch, lastSeq: 0n, sinceNs: 0n, reason: '', fromEpoch: 0n, fromSeq: 0n },
});
const planRow = (version: bigint): OwnershipRow => ({
  kind: 'plan',
  plan: { version, generation: 1, members: [], slots: [], leader: 0 },
});

test.each<[string, OwnershipRow, OwnershipRow, boolean]>([
  ['a higher epoch', slotRow(2n, 'held'), slotRow(1n, 'released'), true],
  ["a zombie's lower epoch", slotRow(1n, 'released'), slotRow(2n, 'held'), false],
  ['released over held', slotRow(2n, 'released'), slotRow(2n, 'held'), true],
  ['held after released, in one epoch', slotRow(2n, 'held'), slotRow(2n, 'released'), false],
  ['a repeat', slotRow(2n, 'held'), slotRow(2n, 'held'), true],
  ['a higher plan', planRow(3n), planRow(2n), true],
  ['a lower plan', planRow(1n), planRow(2n), false],
])('%s', (_name, candidate, current, wins) => {
  expect(newerOwnershipRow(candidate, current)).toBe(wins);
});

test('the key says what a record is, and a foreign key is refused by name', () => {
  const { slot } = slotRow(7n, 'held') as { slot: SlotOwnership };
  expect(decodeOwnershipRow('slot/1', slotOwnershipCodec.encode(slot))).toMatchObject({
    kind: 'slot',
    slot: { epoch: 7n },
  });
  expect(decodeOwnershipRow('state/1', slotOwnershipCodec.encode(slot)).kind).toBe('slot');
  const plan = planCodec.encode({ version: 4n, generation: 1, members: [], slots: [], leader: 0 });
  expect(decodeOwnershipRow('state-plan', plan)).toMatchObject({ kind: 'plan', plan: { version: 4n } });
  expect(() => decodeOwnershipRow('slot/x', Buffer.alloc(0))).toThrow('key "slot/x" of ownership is not known');
});
