/**
 * One group's part of the topic `ownership` as the tables have it: its plan, its slots, and the wishes that stand. Pure.
 *
 * GM1. Ingest and the replicators share the key `place/N`. Whose slot N is meant follows from the role of the instance
 *      that the wish names; of one that nobody knows any more, either's.
 * GM2. A drain that names an incarnation is for that run of the instance alone.
 */
import { type Instance } from '../schemas/instance.ts';
import { type Placement, type Plan, type SlotOwnership } from '../schemas/ownership.ts';
import { type Slot } from '../schemas/slot.ts';
import { drainKey, type GroupRole, placeKey, planKey, slotKey, statePlanKey, stateSlotKey } from '../schemas/topics.ts';
import { type OwnershipRow } from './ownership-row.ts';
import { type Rows } from './tables.ts';

export interface OwnershipTables {
  readonly ownership: Rows<OwnershipRow>;
  readonly instances: Rows<Instance>;
}

/** The part that an instance's role makes it hold slots of; `null`: none. */
export function groupOfRole(role: string): GroupRole | null {
  return role === 'ingest' || role === 'replicator' ? role : null;
}

export function planOf({ ownership }: OwnershipTables, group: GroupRole): Plan | null {
  const row = ownership.get(group === 'ingest' ? planKey : statePlanKey);
  return row?.kind === 'plan' ? row.plan : null;
}

/** The instance that a number of the plan stands for; 0 is nobody. */
export function memberName(plan: Plan | null, oneBased: number): string | null {
  return plan?.members[oneBased - 1]?.instance ?? null;
}

export function slotRecord({ ownership }: OwnershipTables, group: GroupRole, slot: Slot): SlotOwnership | null {
  const row = ownership.get(group === 'ingest' ? slotKey(slot) : stateSlotKey(slot));
  return row?.kind === 'slot' ? row.slot : null;
}

/** Who holds a slot, by its last record. */
export function ownerName(record: SlotOwnership | null): string | null {
  return record?.state === 'held' ? (record.holder?.instance ?? null) : null;
}

/** The wish that a slot moves, whichever group it concerns. */
export function placement({ ownership }: OwnershipTables, slot: Slot): Placement | null {
  const row = ownership.get(placeKey(slot));
  return row?.kind === 'placement' ? row.placement : null;
}

/** The wish that a slot of this group moves (GM1). */
export function groupPlacement(tables: OwnershipTables, group: GroupRole, slot: Slot): Placement | null {
  const wished = placement(tables, slot);
  if (wished === null) return null;
  const role = tables.instances.get(wished.instance)?.role;
  return role === undefined || role === group ? wished : null; // GM1
}

/** The drain of this instance, of whichever run. */
export function drainOf({ ownership }: OwnershipTables, instance: string): Placement | null {
  const row = ownership.get(drainKey(instance));
  return row?.kind === 'placement' && row.placement.drain ? row.placement : null;
}

/** It says so itself, or an operator wishes it of this run (GM2). */
export function isDraining(tables: OwnershipTables, instance: Instance): boolean {
  if (instance.draining) return true;
  const drain = drainOf(tables, instance.instance);
  return drain !== null && (drain.incarnation === '' || drain.incarnation === instance.incarnation); // GM2
}
