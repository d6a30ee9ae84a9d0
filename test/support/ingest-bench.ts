import { systemClock } from '../../core/clock.ts';
import { RateLimited, silentLogger } from '../../core/logger.ts';
import { seededRandom } from '../../core/random.ts';
import { createMetrics, type Metrics } from '../../core/metrics.ts';
import { type Device, deviceCodec } from '../../schemas/device.ts';
import { profileCodec, type Profile } from '../../schemas/profile.ts';
import { type Subscription } from '../../schemas/subscription.ts';
import { DialGate } from '../../ingest/dial-gate.ts';
import { FleetLog } from '../../ingest/fleet-log.ts';
import { grpcTransport } from '../../ingest/grpc-transport.ts';
import { createIngestMetrics } from '../../ingest/metrics.ts';
import { UnackedBudget } from '../../ingest/session-credit.ts';
import { SessionWatch } from '../../ingest/session-watch.ts';
import { type SupervisorContext } from '../../ingest/supervisor.ts';

/** What sessions of a test share: real clock, real sockets, time-outs short enough to wait for. */
export interface IngestBench {
  readonly context: SupervisorContext;
  readonly budget: UnackedBudget;
  readonly watch: SessionWatch;
  readonly metrics: Metrics;
  /** Turn it off to lose the lease. */
  readonly lease: { live: boolean };
  start(): Promise<void>;
  stop(): Promise<void>;
}

export const benchSettings: SupervisorContext['settings'] = {
  dialTimeoutMs: 1_000,
  syncTimeoutMs: 3_000,
  receiveTimeoutMs: 0,
  maxPauseMs: 400,
  maxMessageBytes: 1_048_576,
  receiveWindowBytes: 65_535,
  redialMs: 20,
  redialMsMax: 200,
  refusedRedialMs: 100_000,
};

export function createIngestBench(
  settings: Partial<SupervisorContext['settings']> = {},
  budgetBytes = 1_048_576,
): IngestBench {
  const metrics = createMetrics();
  const budget = new UnackedBudget({ bytesMax: budgetBytes });
  const watch = new SessionWatch({ clock: systemClock, periodMs: 20 });
  const lease = { live: true };
  const context: SupervisorContext = {
    session: {
      transport: grpcTransport,
      watch,
      clock: systemClock,
      metrics: createIngestMetrics(metrics.registry),
      leaseLive: () => lease.live,
    },
    budget,
    gate: new DialGate({ max: 4 }),
    random: seededRandom(1),
    env: {},
    fleetLog: new FleetLog({ logger: silentLogger, clock: systemClock }),
    limited: new RateLimited(),
    settings: { ...benchSettings, ...settings },
    instance: 'ingest-1',
  };
  return { context, budget, watch, metrics, lease, start: () => watch.start(), stop: () => watch.stop() };
}

export function subscription(path: string, mode: Subscription['mode'] = 'on-change'): Subscription {
  return { path, mode, intervalMs: mode === 'sample' ? 1_000 : 0, heartbeatMs: 0, suppressRedundant: false };
}

/** A plaintext device with one subscription; the rest as said. */
export function deviceRecord(name: string, fields: Partial<Device> = {}): Device {
  const empty = deviceCodec.decode(Buffer.alloc(0));
  return { ...empty, name, plaintext: true, subscriptions: [subscription('/a')], ...fields };
}

export function profileRecord(name: string, fields: Partial<Profile> = {}): Profile {
  return { ...profileCodec.decode(Buffer.alloc(0)), name, ...fields };
}
