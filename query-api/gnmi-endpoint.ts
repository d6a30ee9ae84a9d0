/** The gNMI side of a query-api, put together. */
import { advertisedHost } from '../core/advertised-host.ts';
import { type Clock } from '../core/clock.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type TablesView } from './api-context.ts';
import { type QueryApiSettings } from './config.ts';
import { type DeviceChanges } from './device-changes.ts';
import { type GnmiLimits } from './gnmi-context.ts';
import { EncodedPaths } from './gnmi-encoder.ts';
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
    Parameters<typeof advertisedHost>[0];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly instanceId: string;
  readonly tables: TablesView;
  readonly deviceChanges: DeviceChanges;
  readonly state: StateView;
  readonly metrics: GnmiMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Constructs, starts nothing. Throws `SETTING_INVALID`. */
export function createGnmiEndpoint(options: GnmiEndpointOptions): GnmiServer {
  const { settings, env, instanceId, tables, deviceChanges, state, metrics, clock, logger } = options;
  const source = { tables, state, slots: settings.slots, instanceId, clock };
  const hub = new GnmiHub({ ...source, feed: state.feed, deviceChanges });
  const service = new GnmiService({
    ...source,
    hub,
    limits: settings,
    paths: new EncodedPaths(),
    logger,
    lines: new RateLimited(),
    metrics,
  });
  return new GnmiServer({
    listen: settings.gnmiListen,
    advertisedHost: advertisedHost(settings),
    maxRequestBytes: settings.gnmiMaxRequestBytes,
    tls: new GnmiTls(settings, env, { clock, logger }),
    service,
    clock,
    logger,
  });
}
