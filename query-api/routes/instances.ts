/** `/api/v1/instances`: the processes of this cluster that we have seen lately, and the wish that one holds no slots. */
import { type Instance } from '../../schemas/instance.ts';
import { type Placement } from '../../schemas/ownership.ts';
import { instancesAnswer } from '../answers/cluster.ts';
import { drainAnswer, resumeAnswer } from '../answers/ownership.ts';
import { type ApiContext, requireTables, type TablesView } from '../api-context.ts';
import { changedByOf } from '../changed-by.ts';
import { isDraining } from '../group-map.ts';
import { pageOf } from '../parameters.ts';
import { paging } from '../query-parameters.ts';
import { accepted, type Answer, type ApiRequest, param, type Route, success } from '../route.ts';
import { author, changes, readsTables } from '../route-description.ts';

export function instanceRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/instances',
      parameters: paging(context.limits),
      about: {
        group: 'ownership',
        summary: 'Processes seen lately',
        answers: { 200: { description: 'The instances, by name', body: instancesAnswer } },
        codes: readsTables,
      },
      answer: (request) => listInstances(context, request),
    },
    {
      method: 'POST',
      path: '/api/v1/instances/:id\\:drain',
      parameters: {},
      about: {
        group: 'ownership',
        summary: 'Wish that an instance holds no slots',
        requestHeaders: author,
        answers: { 202: { description: 'The wish is durable; what it sets off is still to come', body: drainAnswer } },
        codes: [...changes, 'INSTANCE_UNKNOWN'],
      },
      answer: (request) => drain(context, request),
    },
    {
      method: 'POST',
      path: '/api/v1/instances/:id\\:resume',
      parameters: {},
      about: {
        group: 'ownership',
        summary: 'Withdraw the wish that an instance holds no slots',
        requestHeaders: author,
        answers: { 202: { description: 'There is no such wish any more', body: resumeAnswer } },
        codes: [...changes, 'INSTANCE_UNKNOWN'],
      },
      answer: async (request) => {
        requireTables(context);
        const instance = param(request, 'id');
        const withdrawn = await context.wishes.resume(instance, changedByOf(request));
        return accepted({ instance, drain: false, withdrawn });
      },
    },
  ];
}

function listInstances(context: ApiContext, request: ApiRequest): Answer {
  const tables = requireTables(context);
  const { sightings } = tables;
  const present = [...tables.instances.entries()].map(([id]) => id).filter((id) => sightings.isAlive(id));
  const { entries, next } = pageOf(present.sort(), request.parameters, context.limits);
  const instances = entries.flatMap((id) => {
    const instance = tables.instances.get(id);
    return instance === undefined ? [] : [instanceDocument(tables, id, instance)];
  });
  return success({ instances, next });
}

function instanceDocument(tables: TablesView, id: string, instance: Instance): object {
  return {
    instance: id,
    role: instance.role,
    http: orNull(instance.http),
    gnmi: orNull(instance.gnmi),
    zone: orNull(instance.zone),
    version: instance.version,
    seenMs: tables.sightings.seenMs(id) ?? null,
    draining: isDraining(tables, instance),
    load: instance.load / 1000,
    slots: instance.slots.length,
  };
}

async function drain(context: ApiContext, request: ApiRequest): Promise<Answer> {
  requireTables(context);
  const instance = param(request, 'id');
  const { group, wish, warnings } = await context.wishes.drain(instance, changedByOf(request));
  const { incarnation } = wish;
  return accepted({ instance, group, drain: true, incarnation, ...changeDocument(wish) }, warnings);
}

/** Who wished it and when, as device documents say who changed them; null where nothing is wished. */
export function changeDocument(wish: Placement | null): { changedBy: string | null; changedAt: string | null } {
  if (wish === null) return { changedBy: null, changedAt: null };
  return { changedBy: wish.changedBy, changedAt: new Date(Number(wish.changedAtNs / 1_000_000n)).toISOString() };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
