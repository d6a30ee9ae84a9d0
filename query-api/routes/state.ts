/** `GET /api/v1/state` and `/api/v1/devices/{name}/state`: leaves, with age, position and cursor. */
import { HoldfastError } from '../../core/errors.ts';
import { decodeCursor, encodeCursor, isOfOtherLog } from '../../schemas/cursor.ts';
import { type Position } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { stateHeaders } from '../answer-headers.ts';
import { type ApiContext, isSynced, requireDevice, requireTables, slotsOf } from '../api-context.ts';
import { stateAnswer } from '../answers/state.ts';
import { deviceNames } from '../device-filter.ts';
import { type Requirement } from '../divert.ts';
import { watchForgotten } from '../forgotten-slots.ts';
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
import { redirected, type RouteDescription } from '../route-description.ts';
import { type Answer, type ApiRequest, param, type Route } from '../route.ts';
import { stateBody } from '../state-body.ts';
import { answerQuestion, parseQuestion, type StateQuestion } from '../state-question.ts';

const about = (summary: string): RouteDescription => ({
  group: 'state',
  summary,
  description:
    'A path that nothing matches is answered with no leaves. Where nobody is as fresh as asked for, the answer is 503: an old value is never passed off as new.',
  answers: {
    200: {
      description: 'The leaves, by device and path',
      body: stateAnswer,
      headers: ['Holdfast-Cursor', 'Holdfast-Age-Ms', 'Holdfast-Owner', 'Holdfast-Divert'],
    },
    307: redirected,
  },
  requestHeaders: {
    Prefer: '`redirect`: be sent to the instance that answers, instead of having the request forwarded there',
  },
  codes: ['PATH_MALFORMED', 'CURSOR_MALFORMED', 'DEVICE_UNKNOWN', 'LIMIT_EXCEEDED', 'NOT_CAUGHT_UP', 'TOO_STALE'],
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
  requireTables(context);
  const question = parseQuestion(request.parameters, context.limits);
  const requirement = requirementOf(context, request, slots);
  const turn = await context.divert.turn(request, requirement);
  if (turn.kind === 'answer') return turn.answer;
  try {
    return await answerHere(context, { question, devices, requirement, stalenessMs: turn.stalenessMs }, request.signal);
  } finally {
    turn.release();
  }
}

async function answerHere(
  context: ApiContext,
  asked: { question: StateQuestion; devices: readonly string[]; requirement: Requirement; stalenessMs: number },
  signal: AbortSignal,
): Promise<Answer> {
  const tables = requireTables(context);
  const { question, devices, requirement } = asked;
  const { slots, maxStalenessMs } = requirement;
  const positions = slots.flatMap((slot) => context.state.complete(slot) ?? []);
  const cursor = encodeCursor(positions, context.state.logTag);
  const source = { store: context.state.store, slots: context.slots, clock: context.clock };
  const slotForgotten = watchForgotten(context.state, slots);
  const judgedMonotonicMs = context.clock.monotonicMs();
  const page = await answerQuestion(question, devices, source, signal);
  // The answer took turns: a slot forgotten in between has leaves missing, and what was read first has aged meanwhile.
  const forgotten = slotForgotten();
  if (forgotten !== undefined) {
    const detail = `slot ${forgotten} was forgotten while it was read, and is read anew`;
    throw new HoldfastError('NOT_CAUGHT_UP', detail, { retryable: true, facts: { slot: forgotten } });
  }
  const stalenessMs = Math.ceil(asked.stalenessMs + context.clock.monotonicMs() - judgedMonotonicMs);
  if (maxStalenessMs !== null && stalenessMs > maxStalenessMs) {
    const detail = `the answer has become ${stalenessMs} ms old while it was read`;
    throw new HoldfastError('TOO_STALE', detail, { retryable: true, facts: { stalenessMs } });
  }
  const unsynced = devices.filter((device) => !isSynced(tables, device));
  return {
    status: 200,
    body: stateBody(page, unsynced, cursor),
    headers: stateHeaders({ cursor, stalenessMs, slots, instanceId: context.instanceId }, tables),
  };
}

/** Throws CursorMalformed, `CURSOR_MALFORMED`, `PARAMETER_INVALID`. */
export function requirementOf(context: ApiContext, request: ApiRequest, slots: readonly Slot[]): Requirement {
  return {
    slots,
    maxStalenessMs: integer(request.parameters, 'maxStalenessMs', stalenessMsRange) ?? null,
    atLeast: wantedPositions(request.parameters, context, slots),
    waitMs: integer(request.parameters, 'maxWaitMs', waitMsRange(context.limits)) ?? waitMsDefault,
    key: request.params['name'] ?? request.parameters.get('path')?.[0] ?? '',
  };
}

/** Positions of `atLeast` that matter to this request. Throws CursorMalformed, `CURSOR_MALFORMED`. */
function wantedPositions(parameters: Parameters, context: ApiContext, slots: readonly Slot[]): Position[] {
  const text = single(parameters, 'atLeast');
  if (text === undefined) return [];
  const cursor = decodeCursor(text);
  if (isOfOtherLog(cursor, context.state.logTag)) {
    const detail = 'the cursor is of another log: the topic was made anew since, or it comes from another cluster';
    throw new HoldfastError('CURSOR_MALFORMED', detail);
  }
  const { positions } = cursor;
  const foreign = positions.find((position) => position.slot >= context.slots);
  if (foreign !== undefined) {
    throw new HoldfastError('CURSOR_MALFORMED', `the cursor names slot ${foreign.slot}, there are ${context.slots}`);
  }
  const asked = new Set(slots);
  return positions.filter((position) => asked.has(position.slot));
}
