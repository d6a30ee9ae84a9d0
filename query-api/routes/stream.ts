/** `GET /api/v1/state/stream`: the state of devices and then every change of it, as server-sent events. */
import { z } from 'zod';
import { HoldfastError } from '../../core/errors.ts';
import { decodeCursor, isOfOtherLog } from '../../schemas/cursor.ts';
import { type Position } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { streamHeaders } from '../answer-headers.ts';
import { type ApiContext, requireDevice, requireTables } from '../api-context.ts';
import { labelFilters } from '../parameters.ts';
import { deviceFilter, pathFilter, valueEncoding, waitMsDefault } from '../query-parameters.ts';
import { redirected, type RouteDescription } from '../route-description.ts';
import { type Answer, type ApiRequest, type Route } from '../route.ts';
import { type StreamGap } from '../sse-text.ts';
import { parseQuestion } from '../state-question.ts';
import { type StreamAnswer } from '../stream-answer.ts';
import { StreamFilter } from '../stream-filter.ts';
import { type Streams } from '../streams.ts';

const about: RouteDescription = {
  group: 'state',
  summary: 'Leaves across devices, and every change of them',
  description:
    'Events `update`, `delete`, `synced`, `gap` and `heartbeat`, described in docs/streams.md. First the present state, then `synced`, then what changes. The `id` of an event is a cursor; with it in `Last-Event-ID` any instance goes on from there.',
  requestHeaders: {
    'Last-Event-ID': 'Cursor of the last event that was taken; without it the state comes first',
    Prefer: '`redirect`: be sent to the instance that holds the slots, instead of having its stream passed on',
  },
  answers: {
    200: {
      description: 'Server-sent events, until the client or this instance ends',
      body: z.string(),
      contentType: 'text/event-stream',
      headers: ['Holdfast-Age-Ms', 'Holdfast-Divert', 'X-Accel-Buffering'],
    },
    307: redirected,
  },
  codes: ['PATH_MALFORMED', 'CURSOR_MALFORMED', 'DEVICE_UNKNOWN', 'NOT_CAUGHT_UP', 'LIMIT_EXCEEDED'],
};

export function streamRoutes(context: ApiContext, streams: Streams): Route[] {
  const { limits } = context;
  return [
    {
      method: 'GET',
      path: '/api/v1/state/stream',
      parameters: { ...pathFilter(limits), ...valueEncoding, ...deviceFilter(limits) },
      about,
      answer: (request) => answerStream(context, streams, request),
    },
  ];
}

async function answerStream(
  context: ApiContext,
  streams: Streams,
  request: ApiRequest,
): Promise<Answer | StreamAnswer> {
  const tables = requireTables(context);
  const { patterns, encoding } = parseQuestion(request.parameters, context.limits);
  const names = request.parameters.get('device') ?? null;
  for (const name of names ?? []) requireDevice(context, name);
  const labels = labelFilters(request.parameters);
  const { store } = context.state;
  streams.takePlace(request.signal);
  const filter = new StreamFilter({
    patterns,
    names,
    labels,
    store,
    devices: tables.devices,
    slotCount: context.slots,
  });
  whenGone(request.signal, () => filter.close());
  const turn = await context.divert.streamTurn(request, filter.slots, keyOf(request));
  if (turn.kind === 'answer') return turn.answer;
  whenGone(request.signal, turn.release);
  const start = { filter, encoding, ...(await whereToBegin(context, request, filter.slots)) };
  return {
    status: 200,
    contentType: 'text/event-stream',
    headers: streamHeaders({ stalenessMs: turn.stalenessMs, instanceId: context.instanceId }),
    stream: (sink) => streams.run(start, sink),
  };
}

/** Readers of one device come together at one instance. */
function keyOf({ parameters }: ApiRequest): string {
  return parameters.get('device')?.[0] ?? parameters.get('path')?.[0] ?? '';
}

function whenGone(signal: AbortSignal, release: () => void): void {
  if (signal.aborted) release();
  else signal.addEventListener('abort', release, { once: true });
}

interface Beginning {
  readonly from: readonly Position[];
  readonly gap: StreamGap | null;
}

/** Throws CursorMalformed, and `NOT_CAUGHT_UP` when the client is ahead of us and stays so. */
async function whereToBegin(context: ApiContext, request: ApiRequest, slots: readonly Slot[]): Promise<Beginning> {
  const text = request.header('last-event-id') ?? '';
  if (text === '') return { from: [], gap: null };
  const cursor = decodeCursor(text);
  const asked = new Set(slots);
  const { positions } = cursor;
  const from = positions.filter(({ slot }) => asked.has(slot));
  const isForeign = isOfOtherLog(cursor, context.state.logTag) || positions.some(({ slot }) => slot >= context.slots);
  // Of another log, of another request, or of a reader that was cut off before it had everything (SC1).
  if (isForeign || from.length < slots.length) {
    return { from: [], gap: 'cursor-unknown' };
  }
  let kinds = replayKinds(context, from);
  if (kinds.has('ahead') && (await context.state.reached(from, waitMsDefault, request.signal))) {
    kinds = replayKinds(context, from);
  }
  if (kinds.has('unknown')) return { from: [], gap: 'cursor-unknown' };
  if (kinds.has('expired')) return { from: [], gap: 'cursor-expired' };
  if (!kinds.has('ahead')) return { from, gap: null };
  const detail = `this instance is not as far as the cursor after waiting ${waitMsDefault} ms`;
  throw new HoldfastError('NOT_CAUGHT_UP', detail, { retryable: true, facts: { maxWaitMs: waitMsDefault } });
}

function replayKinds(context: ApiContext, from: readonly Position[]): Set<string> {
  return new Set(from.map((position) => context.state.feed.replay(position).kind));
}
