/** The gNMI side of a query-api, put together. */
import { advertisedHost } from '../core/advertised-host.ts';
import { type Clock } from '../core/clock.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type TablesView } from './api-context.ts';
import { type QueryApiSettings } from './config.ts';
import { type DeviceChanges } from './device-changes.ts';
import { type GnmiContext, type GnmiLimits } from './gnmi-context.ts';
import { EncodedPaths } from './gnmi-encoder.ts';
import { HealthFacts } from './gnmi-health-facts.ts';
import { GnmiHub } from './gnmi-hub.ts';
import { type GnmiMetrics } from './gnmi-metrics.ts';
import { GnmiServer } from './gnmi-server.ts';
import { GnmiService } from './gnmi-service.ts';
import { GnmiTls, type GnmiTlsSettings } from './gnmi-tls.ts';
import { type StateView } from './replica.ts';

export interface GnmiEndpointOptions {
  readonly settings: GnmiLimits &
    GnmiTlsSettings &
    Pick<QueryApiSettings, 'gnmiListen' | 'slots'> &
    Pick<QueryApiSettings, 'advertisedHost'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly instanceId: string;
  readonly tables: TablesView;
  readonly deviceChanges: DeviceChanges;
  readonly state: StateView;
  readonly metrics: GnmiMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createGnmiContext(options: GnmiEndpointOptions): GnmiContext {
  const { settings, instanceId, tables, deviceChanges, state, metrics, clock, logger } = options;
  const facts = new HealthFacts(state.store);
  const source = { tables, state, slots: settings.slots, instanceId, clock, facts };
  return {
    ...source,
    hub: new GnmiHub({ ...source, feed: state.feed, deviceChanges }),
    limits: settings,
    paths: new EncodedPaths(),
    logger,
    lines: new RateLimited(),
    metrics,
  };
}

/** Constructs, starts nothing. Throws `SETTING_INVALID`. */
export function createGnmiEndpoint(options: GnmiEndpointOptions, context = createGnmiContext(options)): GnmiServer {
  const { settings, env, clock, logger } = options;
  return new GnmiServer({
    listen: settings.gnmiListen,
    advertisedHost: advertisedHost({ ...settings, httpListen: settings.gnmiListen }),
    maxRequestBytes: settings.gnmiMaxRequestBytes,
    maxStreamsPerConnection: settings.gnmiMaxStreamsPerConnection,
    tls: new GnmiTls(settings, env, { clock, logger }),
    service: new GnmiService(context),
    clock,
    logger,
  });
}
