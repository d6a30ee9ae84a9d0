/** `GET /api/v1/state` and `/api/v1/devices/{name}/state`: leaves, with age, position and cursor. */
import { HoldfastError } from '../../core/errors.ts';
import { decodeCursor, encodeCursor } from '../../schemas/cursor.ts';
import { type Position } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { stateHeaders } from '../answer-headers.ts';
import { type ApiContext, isSynced, requireDevice, requireTables, slotsOf } from '../api-context.ts';
import { stateAnswer } from '../answers/state.ts';
import { deviceNames } from '../device-filter.ts';
import { integer, single, type Parameters } from '../parameters.ts';
import {
  deviceFilter,
  freshness,
  paging,
  pathFilter,
  stalenessMsRange,
  valueEncoding,
  waitMsDefault,
  waitMsRange,
} from '../query-parameters.ts';
import { type RouteDescription } from '../route-description.ts';
import { type Answer, type ApiRequest, param, type Route, successText } from '../route.ts';
import { select } from '../select.ts';
import { answerQuestion, parseQuestion } from '../state-question.ts';

const about = (summary: string): RouteDescription => ({
  group: 'state',
  summary,
  description:
    'A path that nothing matches is answered with no leaves. Where nobody is as fresh as asked for, the answer is 503: an old value is never passed off as new.',
  answers: {
    200: {
      description: 'The leaves, by device and path',
      body: stateAnswer,
      headers: ['Holdfast-Cursor', 'Holdfast-Age-Ms', 'Holdfast-Served-By', 'Holdfast-Owner', 'Holdfast-Divert'],
    },
  },
  codes: ['PATH_MALFORMED', 'CURSOR_MALFORMED', 'DEVICE_UNKNOWN', 'NOT_CAUGHT_UP', 'TOO_STALE'],
});

export function stateRoutes(context: ApiContext): Route[] {
  const { limits } = context;
  const parameters = { ...pathFilter(limits), ...valueEncoding, ...paging(limits), ...freshness(limits) };
  return [
    {
      method: 'GET',
      path: '/api/v1/devices/:name/state',
      parameters,
      about: about('Leaves of one device'),
      answer: (request) => {
        const { name } = requireDevice(context, param(request, 'name'));
        return answerState(context, request, [name], slotsOf([name], context.slots));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/state',
      parameters: { ...parameters, ...deviceFilter(limits) },
      about: about('Leaves across devices'),
      answer: (request) => {
        const names = deviceNames(context, request.parameters);
        // A device that a label will match later may come in any slot: such a cursor has all of them.
        const named = request.parameters.has('device');
        const slots = named ? slotsOf(names, context.slots) : Array.from({ length: context.slots }, (_, slot) => slot);
        return answerState(context, request, names, slots);
      },
    },
  ];
}

async function answerState(
  context: ApiContext,
  request: ApiRequest,
  devices: readonly string[],
  slots: readonly Slot[],
): Promise<Answer> {
  const tables = requireTables(context);
  const question = parseQuestion(request.parameters, context.limits);
  const stalenessMs = await requireFresh(context, request, slots);
  const positions = slots.flatMap((slot) => context.state.complete(slot) ?? []);
  const cursor = encodeCursor(positions);
  const source = { store: context.state.store, slots: context.slots, clock: context.clock };
  const page = await answerQuestion(question, devices, source, request.signal);
  const unsynced = devices.filter((device) => !isSynced(tables, device));
  const body = successText(
    `{"leaves":[${page.leaves.join(',')}],"total":${page.total},"unsynced":${JSON.stringify(unsynced)}` +
      `,"cursor":"${cursor}","next":${JSON.stringify(page.next)}}`,
  );
  return {
    status: 200,
    body,
    headers: stateHeaders({ cursor, stalenessMs, slots, instanceId: context.instanceId }, tables),
  };
}

/** Waits for `atLeast`, then asks `select`; throws `TOO_STALE` or `NOT_CAUGHT_UP`. Returns the staleness to state. */
async function requireFresh(context: ApiContext, request: ApiRequest, slots: readonly Slot[]): Promise<number> {
  const maxStalenessMs = integer(request.parameters, 'maxStalenessMs', stalenessMsRange) ?? null;
  const waitMs = integer(request.parameters, 'maxWaitMs', waitMsRange(context.limits)) ?? waitMsDefault;
  const wanted = wantedPositions(request.parameters, context.slots, slots);
  if (wanted.length > 0 && !(await context.state.reached(wanted, waitMs, request.signal))) {
    const detail = `nobody is as far as the cursor after waiting ${waitMs} ms`;
    throw new HoldfastError('TOO_STALE', detail, { retryable: true, facts: { maxWaitMs: waitMs } });
  }
  const choice = select(
    { slots, maxStalenessMs, atLeast: [], key: '', forwarded: false },
    { zone: '', freshness: (slot) => context.state.freshness(slot), reached: () => true },
    () => [],
  );
  if (choice.kind === 'local') return choice.stalenessMs;
  if (choice.kind !== 'nobody') throw new HoldfastError('INTERNAL', 'there are no other candidates');
  throw new HoldfastError(choice.code, choice.detail, { retryable: true, facts: { slot: choice.slot } });
}

/** Positions of `atLeast` that matter to this request. Throws CursorMalformed, `CURSOR_MALFORMED`. */
function wantedPositions(parameters: Parameters, slotCount: number, slots: readonly Slot[]): Position[] {
  const text = single(parameters, 'atLeast');
  if (text === undefined) return [];
  const positions = decodeCursor(text);
  const foreign = positions.find((position) => position.slot >= slotCount);
  if (foreign !== undefined) {
    throw new HoldfastError('CURSOR_MALFORMED', `the cursor names slot ${foreign.slot}, there are ${slotCount}`);
  }
  const asked = new Set(slots);
  return positions.filter((position) => asked.has(position.slot));
}
