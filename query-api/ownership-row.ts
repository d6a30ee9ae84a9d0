/**
 * One row of the topic `ownership`. Readers keep the highest plan version, and per slot what the lock keeps
 * (core/kafka/ownership-view.ts): in the log the last write wins, and after compaction that may be a zombie's.
 */
import { compareOwnership } from '../core/kafka/ownership-view.ts';
import {
  type Placement,
  placementCodec,
  type Plan,
  planCodec,
  type SlotOwnership,
  slotOwnershipCodec,
} from '../schemas/ownership.ts';
import { RecordMalformed } from '../schemas/position.ts';
import { parseOwnershipKey } from '../schemas/topics.ts';

export type OwnershipRow =
  | { readonly kind: 'slot'; readonly slot: SlotOwnership }
  | { readonly kind: 'plan'; readonly plan: Plan }
  | { readonly kind: 'placement'; readonly placement: Placement };

/** Throws `RecordMalformed` for a key that is none of ours. */
export function decodeOwnershipRow(key: string, message: Buffer): OwnershipRow {
  const parsed = parseOwnershipKey(key);
  switch (parsed?.kind) {
    case 'slot':
    case 'state':
      return { kind: 'slot', slot: slotOwnershipCodec.decode(message) };
    case 'plan':
    case 'state-plan':
      return { kind: 'plan', plan: planCodec.decode(message) };
    case 'drain':
    case 'place':
      return { kind: 'placement', placement: placementCodec.decode(message) };
    case undefined:
      throw new RecordMalformed(`key ${JSON.stringify(key)} of ownership is not known`);
  }
}

/** True when `candidate` is to replace `current`. */
export function newerOwnershipRow(candidate: OwnershipRow, current: OwnershipRow): boolean {
  if (candidate.kind === 'plan' && current.kind === 'plan') return candidate.plan.version >= current.plan.version;
  if (candidate.kind !== 'slot' || current.kind !== 'slot') return true;
  return compareOwnership(candidate.slot, current.slot) >= 0;
}
