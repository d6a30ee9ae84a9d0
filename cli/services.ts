import { type Settings, type ValuesOf } from '../core/config.ts';
import { type Component } from '../core/lifecycle.ts';
import { type ServiceDeps } from '../core/service.ts';
import { ingestSettings } from '../ingest/config.ts';
import { createIngest } from '../ingest/service.ts';
import { queryApiSettings } from '../query-api/config.ts';
import { createQueryApi } from '../query-api/service.ts';
import { replicatorSettings } from '../replicator/config.ts';
import { createReplicator } from '../replicator/service.ts';
import { simulatorSettings } from '../simulator/config.ts';
import { createSimulator } from '../simulator/service.ts';

/** The parts that run as a process of their own: the command that starts each, its settings and how it is made. */
export interface ServiceDefinition<S extends Settings> {
  readonly command: string;
  readonly description: string;
  readonly settings: S;
  readonly create: (settings: ValuesOf<S>, deps: ServiceDeps) => { readonly components: readonly Component[] };
}

const define = <S extends Settings>(definition: ServiceDefinition<S>): ServiceDefinition<S> => definition;

export const ingest = define({
  command: 'ingest',
  description: 'collect from devices: hold slots, one gNMI session per device, publish to `telemetry`',
  settings: ingestSettings,
  create: createIngest,
});
export const replicator = define({
  command: 'replicator',
  description: 'keep the compacted topic `state` true to `telemetry`',
  settings: replicatorSettings,
  create: createReplicator,
});
export const queryApi = define({
  command: 'query-api',
  description: 'answer HTTP from `state`, take changes of devices and profiles',
  settings: queryApiSettings,
  create: createQueryApi,
});
export const simulator = define({
  command: 'simulate',
  description: 'play a fleet of gNMI devices on real sockets',
  settings: simulatorSettings,
  create: createSimulator,
});

/** Every setting of the product by name; the documents are compared with this. */
export const allSettings: Settings = {
  ...ingest.settings,
  ...replicator.settings,
  ...queryApi.settings,
  ...simulator.settings,
};

export const allSettingNames: ReadonlySet<string> = new Set(Object.keys(allSettings));
