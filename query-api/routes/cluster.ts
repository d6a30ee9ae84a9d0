/** `GET /api/v1/cluster`: the summary an operator looks at first. Answers with what is known even when Kafka is away. */
import { clusterAnswer } from '../answers/cluster.ts';
import { type ApiContext, isSynced } from '../api-context.ts';
import { type Route, success } from '../route.ts';
import { slotsUnanswered } from '../position-report.ts';
import { slotsHeld } from './ownership.ts';

export interface ClusterHealth {
  kafkaOk(): boolean;
  /** Largest staleness of all slots; `null` while one is unknown. */
  worstStalenessMs(): number | null;
  /** `null` where the schemas are kept in Kafka. */
  registryAnswers(): boolean | null;
  /** A slot that an instance reports with more staleness does not count as answered. */
  readonly readyStalenessMs: number;
}

export function clusterRoutes(context: ApiContext, health: ClusterHealth): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/cluster',
      parameters: {},
      about: {
        group: 'operations',
        summary: 'How the cluster is',
        description: 'Answers with what is known even when Kafka is away.',
        answers: { 200: { description: 'The summary', body: clusterAnswer } },
        codes: [],
      },
      answer: () => {
        const { tables, slots } = context;
        const roles = new Map<string, number>();
        for (const [id, { role }] of tables.instances.entries()) {
          if (tables.sightings.isAlive(id)) roles.set(role, (roles.get(role) ?? 0) + 1);
        }
        const registry = health.registryAnswers();
        let synced = 0;
        for (const [name] of tables.devices.entries()) if (isSynced(tables, name)) synced += 1;
        return success({
          kafka: health.kafkaOk() ? 'ok' : 'unreachable',
          ...(registry === null ? {} : { schemaRegistry: registry ? 'ok' : 'unreachable' }),
          slots: { total: slots, held: slotsHeld(tables, slots), unanswered: unanswered(context, health) },
          devices: { total: tables.devices.size, synced },
          instances: Object.fromEntries([...roles].sort(([a], [b]) => (a < b ? -1 : 1))),
          stalenessMs: health.worstStalenessMs(),
        });
      },
    },
  ];
}

/** Slots that no query-api of the last seconds reports fresh. */
function unanswered({ tables, slots }: ApiContext, health: ClusterHealth): number {
  const reporters = [...tables.instances.entries()].flatMap(([id, { role, slots: reports }]) => {
    const seenMs = tables.sightings.isAlive(id) ? tables.sightings.seenMs(id) : undefined;
    return role === 'query-api' && seenMs !== undefined ? [{ slots: reports, seenMs }] : [];
  });
  return slotsUnanswered(slots, reporters, health.readyStalenessMs);
}
