/** `GET /api/v1/instances`: the processes of this cluster that we have seen lately. */
import { type ApiContext, requireTables } from '../api-context.ts';
import { type Route, success } from '../route.ts';

export function instanceRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/instances',
      parameters: [],
      answer: () => {
        const { instances, sightings } = requireTables(context);
        const present = [...instances.entries()]
          .filter(([id]) => sightings.isAlive(id))
          .sort(([a], [b]) => (a < b ? -1 : 1));
        return success({
          instances: present.map(([id, instance]) => ({
            instance: id,
            role: instance.role,
            http: orNull(instance.http),
            gnmi: orNull(instance.gnmi),
            zone: orNull(instance.zone),
            version: instance.version,
            seenMs: sightings.seenMs(id) ?? null,
            draining: instance.draining,
            load: instance.load / 1000,
            slots: instance.slots.length,
          })),
        });
      },
    },
  ];
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
