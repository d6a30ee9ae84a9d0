import { type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';

/**
 * When the owner of a plan may begin to acquire a slot, as far as plan and `ownership` decide (lease and freeze are the
 * worker's).
 *
 * SR1. Nobody has to let go first, or the one who has to did: its own release of an epoch ≥ prevEpoch (O6). A release
 *      never becomes untrue, so any read of `ownership` is fresh enough.
 * SR2. Or there is any record of a higher epoch than prevEpoch: its writer began after prev's release, and if it were
 *      still alive, it would be prev.
 */
export function mayStart(plan: Plan, slot: Slot, record: SlotOwnership | null): boolean {
  const entry = plan.slots[slot];
  if (entry === undefined) return false;
  if (entry.prev === 0) return true;
  if (record === null) return false;
  if (record.epoch > entry.prevEpoch) return true; // SR2
  const prev = plan.members[entry.prev - 1];
  if (prev === undefined) return false;
  return record.state === 'released' && record.holder?.memberId === prev.memberId && record.epoch >= entry.prevEpoch; // SR1
}
