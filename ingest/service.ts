import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AdminServer, type Readiness } from '../core/admin-server.ts';
import { advertisedHost } from '../core/advertised-host.ts';
import { kafkaOptionsOf } from '../core/kafka/connection.ts';
import { lockTimersOf } from '../core/kafka/lock-timers.ts';
import { Producer } from '../core/kafka/producer.ts';
import { collectProcessMetrics, createMetrics } from '../core/metrics.ts';
import { type Service, type ServiceDeps } from '../core/service.ts';
import { Collecting } from './collecting.ts';
import { type IngestSettings } from './config.ts';

/**
 * The ingest process: holds slots, keeps one gNMI session per device of its slots, publishes what the devices said.
 *
 *   device ─ transport ─ session ─ slot-writer ─ fenced writer ─▶ telemetry, status
 *
 *   collecting.ts            everything that needs Kafka to be there, in order
 *   ownership.ts             what the lock does with a slot
 *   slot-sessions.ts         the devices of a held slot; desired-tables.ts and device-catalogue.ts say which
 *   supervisor.ts            what follows when a session ended
 *   session.ts               one cycle with a device; session-credit.ts and session-watch.ts bound it
 *   subscription-plan.ts     which RPCs it takes (pure)
 *   transport.ts             what a session needs of gRPC; grpc-transport.ts is the one there is
 */

/** Constructs, starts nothing. Throws `SETTING_INVALID`, `CREDENTIALS_INVALID`. */
export function createIngest(settings: IngestSettings, deps: ServiceDeps): Service {
  const { clock } = deps;
  const instanceId = settings.instanceId ?? `${hostname()}-ingest`;
  const logger = deps.logger.child({ instance: instanceId });
  const kafka = kafkaOptionsOf({ ...settings, instanceId }, deps.env, logger, clock);
  const metrics = createMetrics();
  collectProcessMetrics(metrics);
  const producer = new Producer({ kafka });
  const collecting = new Collecting({
    ...deps,
    settings,
    instanceId,
    incarnation: randomUUID(),
    kafka,
    timers: lockTimersOf(settings),
    producer,
    registry: metrics.registry,
    http: () => admin.address,
    logger,
  });
  const readiness = (): Readiness => collecting.readiness();
  const admin = new AdminServer({
    listen: settings.httpListen,
    advertisedHost: advertisedHost(settings),
    metrics,
    readiness,
    logger,
  });
  return {
    components: [admin, producer, collecting],
    get address() {
      return admin.address;
    },
    readiness,
  };
}
