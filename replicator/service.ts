import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AdminServer, type Readiness } from '../core/admin-server.ts';
import { advertisedHost } from '../core/advertised-host.ts';
import { kafkaOptionsOf } from '../core/kafka/connection.ts';
import { lockTimersOf } from '../core/kafka/lock-timers.ts';
import { Producer } from '../core/kafka/producer.ts';
import { collectProcessMetrics, createMetrics } from '../core/metrics.ts';
import { type Service, type ServiceDeps } from '../core/service.ts';
import { type ReplicatorSettings } from './config.ts';
import { StateKeeping } from './state-keeping.ts';

/**
 * The replicator process: keeps the compacted topic `state` true to `telemetry`, slot by slot.
 *
 *   telemetry ─ log reader ─ slot-worker ─ slot-reducer ─ apply ─ state-writer ─ fenced writer ─▶ state
 *
 *   explode.ts json-leaves.ts       what a notification says, as full paths         (pure)
 *   apply.ts sweep.ts delete-window.ts   the rules                                   (pure)
 *   slot-reducer.ts                 positions, record kinds, what a restart reads again (pure)
 *   slot-table.ts device-leaves.ts  the leaves in memory
 *   restore.ts state-writer.ts slot-worker.ts  from and to Kafka, for one slot
 *   ownership.ts                    what the lock does with a slot
 *   state-keeping.ts                everything that needs Kafka to be there, in order
 */

/** Constructs, starts nothing. Throws `SETTING_INVALID`, `CREDENTIALS_INVALID`. */
export function createReplicator(settings: ReplicatorSettings, deps: ServiceDeps): Service {
  const { clock } = deps;
  const instanceId = settings.instanceId ?? `${hostname()}-replicator`;
  const logger = deps.logger.child({ instance: instanceId });
  const kafka = kafkaOptionsOf({ ...settings, instanceId }, deps.env, logger, clock);
  const timers = lockTimersOf(settings);
  const metrics = createMetrics();
  collectProcessMetrics(metrics);
  const producer = new Producer({ kafka });
  const keeping = new StateKeeping({
    ...deps,
    settings,
    instanceId,
    incarnation: randomUUID(),
    kafka,
    producer,
    timers,
    logger,
    metrics,
    http: () => admin.address,
  });
  const readiness = (): Readiness => keeping.readiness();
  const admin = new AdminServer({
    listen: settings.httpListen,
    advertisedHost: advertisedHost(settings),
    metrics,
    readiness,
    logger,
  });
  return {
    components: [admin, producer, keeping],
    get address() {
      return admin.address;
    },
    readiness,
  };
}
