/** `GET /api/v1/ownership`: who holds which slot, of ingest or of the replicators. */
import { type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { formatPosition } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { planKey, slotKey, statePlanKey, stateSlotKey } from '../../schemas/topics.ts';
import { type ApiContext, requireTables, type TablesView } from '../api-context.ts';
import { choice } from '../parameters.ts';
import { type Route, success } from '../route.ts';

export function ownershipRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/ownership',
      parameters: ['group'],
      answer: (request) => {
        const tables = requireTables(context);
        const group = choice(request.parameters, 'group', ['ingest', 'replicator']) ?? 'ingest';
        const row = tables.ownership.get(group === 'ingest' ? planKey : statePlanKey);
        const plan = row?.kind === 'plan' ? row.plan : null;
        const keyOf = group === 'ingest' ? slotKey : stateSlotKey;
        const slots = Array.from({ length: context.slots }, (_, slot) => {
          const held = tables.ownership.get(keyOf(slot));
          return slotDocument(tables, slot, held?.kind === 'slot' ? held.slot : null, plan);
        });
        return success({ plan: planDocument(plan), slots });
      },
    },
  ];
}

function planDocument(plan: Plan | null): object | null {
  // The record does not say who made it.
  return plan === null ? null : { version: plan.version.toString(), leader: null };
}

function slotDocument(tables: TablesView, slot: Slot, held: SlotOwnership | null, plan: Plan | null): object {
  const standby = plan?.members[(plan.slots[slot]?.standby ?? 0) - 1]?.instance ?? null;
  if (held === null) {
    return { slot, state: 'unowned', owner: null, standby, epoch: null, position: null, since: null, reason: null };
  }
  return {
    slot,
    state: held.state,
    owner: held.state === 'held' ? (held.holder?.instance ?? null) : null,
    standby,
    epoch: held.epoch.toString(),
    position: formatPosition({ slot, epoch: held.epoch, seq: lastSeqOf(tables, slot, held) }),
    since: held.sinceNs.toString(),
    reason: held.reason === '' ? null : held.reason,
  };
}

/** The ownership record is written at hand-over; between, the holder reports its position once a second. */
function lastSeqOf(tables: TablesView, slot: Slot, held: SlotOwnership): bigint {
  const holder = held.holder === undefined ? undefined : tables.instances.get(held.holder.instance);
  const reported = holder?.slots.find((entry) => entry.slot === slot);
  return reported?.epoch === held.epoch && reported.seq > held.lastSeq ? reported.seq : held.lastSeq;
}

/** The slots of `ingest` whose holder is there. */
export function slotsHeld(tables: TablesView, slots: number): number {
  let held = 0;
  for (let slot = 0; slot < slots; slot += 1) {
    const row = tables.ownership.get(slotKey(slot));
    if (row?.kind !== 'slot' || row.slot.state !== 'held' || row.slot.holder === undefined) continue;
    const { instance, incarnation } = row.slot.holder;
    const present = tables.instances.get(instance);
    if (present?.incarnation === incarnation && tables.sightings.isAlive(instance)) held += 1;
  }
  return held;
}
