/** `/api/v1/ownership`: who holds which slot, of ingest or of the replicators, and the wish that one moves. */
import { z } from 'zod';
import { type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { formatPosition } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type GroupRole } from '../../schemas/topics.ts';
import { instanceCharsMax, moveAnswer, moveBody, ownershipAnswer } from '../answers/ownership.ts';
import { type ApiContext, requireTables, type TablesView } from '../api-context.ts';
import { changedByOf } from '../changed-by.ts';
import { groupPlacement, memberName, ownerName, planOf, slotRecord } from '../group-map.ts';
import { choice, invalid, pageOf } from '../parameters.ts';
import { bodyInvalid } from '../problem.ts';
import { paging } from '../query-parameters.ts';
import { accepted, type Answer, type ApiRequest, param, type Route, success } from '../route.ts';
import { author, changes, type QueryParameters, readsTables, takesBody } from '../route-description.ts';
import { changeDocument } from './instances.ts';

const groups = ['ingest', 'replicator'] as const;

const whichGroup: QueryParameters = {
  group: { description: 'Whose slots; ingest if left out', schema: z.enum(groups) },
};

export function ownershipRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/ownership',
      parameters: { ...whichGroup, ...paging(context.limits) },
      about: {
        group: 'ownership',
        summary: 'Who holds which slot',
        answers: { 200: { description: 'The plan and the slots', body: ownershipAnswer } },
        codes: readsTables,
      },
      answer: (request) => {
        const tables = requireTables(context);
        const group = choice(request.parameters, 'group', groups) ?? 'ingest';
        const plan = planOf(tables, group);
        const { entries, next } = pageOf(slotTexts(context.slots), request.parameters, context.limits);
        const slots = entries.map((text) => slotDocument({ tables, group, plan, slot: Number(text) }));
        return success({ plan: planDocument(plan), slots, next });
      },
    },
    {
      method: 'POST',
      path: '/api/v1/ownership/:slot\\:move',
      parameters: {},
      about: {
        group: 'ownership',
        summary: 'Wish that a slot moves to an instance',
        requestHeaders: author,
        body: { schema: moveBody, example: { to: 'ingest-2' } },
        answers: { 202: { description: 'The wish is durable; what it sets off is still to come', body: moveAnswer } },
        codes: [...changes, ...takesBody, 'INSTANCE_UNKNOWN'],
      },
      answer: (request) => moveSlot(context, request),
    },
  ];
}

/** Their order as texts is that of the slots: what a page token goes by. */
function slotTexts(slots: number): string[] {
  return Array.from({ length: slots }, (_, slot) => String(slot).padStart(5, '0'));
}

async function moveSlot(context: ApiContext, request: ApiRequest): Promise<Answer> {
  requireTables(context);
  const slot = slotIn(param(request, 'slot'), context.slots);
  const to = destinationIn(request.body);
  const { group, owner, wish, warnings } = await context.wishes.move(slot, to, changedByOf(request));
  return accepted({ slot, group, to, owner, pending: wish !== null, ...changeDocument(wish) }, warnings);
}

function slotIn(text: string, slots: number): Slot {
  const slot = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (!(slot < slots)) throw invalid('slot', `must be a whole number from 0 to ${slots - 1}`);
  return slot;
}

/** `{"to":"ingest-2"}`. */
function destinationIn(body: unknown): string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw bodyInvalid(['the body must be an object like {"to":"ingest-2"}']);
  }
  const { to } = body as { to?: unknown };
  const problems = Object.keys(body)
    .filter((name) => name !== 'to')
    .map((name) => `${name.slice(0, 64)}: is not a field; this body has only to`);
  const isName = typeof to === 'string' && to !== '' && to.length <= instanceCharsMax;
  if (!isName) problems.unshift('to: must be the name of an instance');
  if (!isName || problems.length > 0) throw bodyInvalid(problems.slice(0, 20));
  return to;
}

function planDocument(plan: Plan | null): object | null {
  return plan === null ? null : { version: plan.version.toString(), leader: memberName(plan, plan.leader) };
}

interface SlotQuestion {
  readonly tables: TablesView;
  readonly group: GroupRole;
  readonly plan: Plan | null;
  readonly slot: Slot;
}

function slotDocument({ tables, group, plan, slot }: SlotQuestion): object {
  const standby = memberName(plan, plan?.slots[slot]?.standby ?? 0);
  const wish = groupPlacement(tables, group, slot)?.instance ?? null;
  const held = slotRecord(tables, group, slot);
  if (held === null) {
    const none = { epoch: null, position: null, since: null, reason: null };
    return { slot, state: 'unowned', owner: null, standby, wish, ...none };
  }
  return {
    slot,
    state: held.state,
    owner: ownerName(held),
    standby,
    wish,
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
    const record = slotRecord(tables, 'ingest', slot);
    if (record?.state !== 'held' || record.holder === undefined) continue;
    const { instance, incarnation } = record.holder;
    const present = tables.instances.get(instance);
    if (present?.incarnation === incarnation && tables.sightings.isAlive(instance)) held += 1;
  }
  return held;
}
