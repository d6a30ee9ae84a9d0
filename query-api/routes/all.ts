/** Every route of this server, in one list. */
import { type Readiness } from '../../core/admin-server.ts';
import { type SchemaRecord } from '../../core/kafka/schema-record.ts';
import { type Metrics } from '../../core/metrics.ts';
import { type ApiContext } from '../api-context.ts';
import { homeRoute } from '../home-page.ts';
import { type Route } from '../route.ts';
import { type Streams } from '../streams.ts';
import { apiDocumentRoutes } from './api-document.ts';
import { type ClusterHealth, clusterRoutes } from './cluster.ts';
import { deviceRoutes } from './devices.ts';
import { healthRoutes } from './health.ts';
import { instanceRoutes } from './instances.ts';
import { ownershipRoutes } from './ownership.ts';
import { profileRoutes } from './profiles.ts';
import { schemaRoutes } from './schemas.ts';
import { stateRoutes } from './state.ts';
import { streamRoutes } from './stream.ts';

export interface RouteSources {
  readonly context: ApiContext;
  readonly health: ClusterHealth;
  readonly streams: Streams;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  readonly schemaRecords: () => Iterable<SchemaRecord>;
  /** Of the product. */
  readonly version: string;
}

export function routesOf({
  context,
  health,
  streams,
  metrics,
  readiness,
  schemaRecords,
  version,
}: RouteSources): Route[] {
  const routes: Route[] = [
    homeRoute,
    ...stateRoutes(context), // the hot ones first: Express tries one after another
    ...streamRoutes(context, streams),
    ...deviceRoutes(context),
    ...profileRoutes(context),
    ...ownershipRoutes(context),
    ...instanceRoutes(context),
    ...clusterRoutes(context, health),
    ...healthRoutes(metrics, readiness),
    ...schemaRoutes(schemaRecords),
  ];
  routes.push(...apiDocumentRoutes(routes, version));
  return routes;
}
