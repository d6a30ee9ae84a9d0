/**
 * A query-api process: what it is made of, and in which order that starts.
 *
 *   HTTP server → gNMI server → producer → topics and schema ids → (tables, state, instance record) side by side
 *
 * The servers come first, so that a port in use ends the start at once, /readyz tells what is still missing, and gNMI
 * clients hear UNAVAILABLE.
 */
import { hostname } from 'node:os';
import { type Readiness } from '../core/admin-server.ts';
import { advertisedHost } from '../core/advertised-host.ts';
import { type Clock } from '../core/clock.ts';
import { kafkaOptionsOf } from '../core/kafka/connection.ts';
import { Producer } from '../core/kafka/producer.ts';
import { registryProbe, type SchemaIds } from '../core/kafka/registry.ts';
import { type Logger } from '../core/logger.ts';
import { collectProcessMetrics, createMetrics } from '../core/metrics.ts';
import { type Service, type ServiceDeps } from '../core/service.ts';
import { topicOf } from '../schemas/topics.ts';
import { type ApiContext } from './api-context.ts';
import { Candidates } from './candidates.ts';
import { ChangeWriter } from './change-writer.ts';
import { type QueryApiSettings } from './config.ts';
import { DesiredState } from './desired-state.ts';
import { Divert } from './divert.ts';
import { createGnmiEndpoint } from './gnmi-endpoint.ts';
import { createGnmiMetrics } from './gnmi-metrics.ts';
import { FastState } from './fast-state.ts';
import { InstanceRecord } from './instance-record.ts';
import { KafkaSetup } from './kafka-setup.ts';
import { createQueryApiMetrics, type QueryApiMetrics } from './metrics.ts';
import { PeerClient } from './peer-client.ts';
import { PeerExperience } from './peer-experience.ts';
import { PeerRaces } from './peer-race.ts';
import { reportSlots } from './position-report.ts';
import { readinessOf } from './readiness.ts';
import { RegistryWatch } from './registry-watch.ts';
import { Replica, type ReplicaOptions } from './replica.ts';
import { routesOf } from './routes/all.ts';
import { type ClusterHealth } from './routes/cluster.ts';
import { ApiServer } from './server.ts';
import { SideBySide } from './side-by-side.ts';
import { createStreamMetrics } from './stream-metrics.ts';
import { StreamProxy } from './stream-proxy.ts';
import { Streams } from './streams.ts';
import { SlotChoice } from './slot-choice.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { Tables } from './tables.ts';
import { Wishes } from './wishes.ts';

/** Constructs, starts nothing. Throws `SETTING_INVALID`, `CREDENTIALS_INVALID`. */
export function createQueryApi(settings: QueryApiSettings, deps: ServiceDeps): Service {
  const { clock, onFatal } = deps;
  const instanceId = settings.instanceId ?? `${hostname()}-query-api`;
  const logger = deps.logger.child({ instance: instanceId });
  const kafka = kafkaOptionsOf({ ...settings, instanceId }, deps.env, logger, clock);
  const { topicPrefix, slots } = settings;
  const common = { kafka, clock, logger, onFatal };
  const metrics = createMetrics();
  collectProcessMetrics(metrics);
  const ownMetrics = createQueryApiMetrics(metrics, {
    leaves: () => replica.store.size,
    stalenessMs: () => replica.worstStalenessMs(),
    slotsCaughtUp: () => replica.slotsCaughtUp(),
  });
  const replica = replicaOf(settings, { ...common, metrics: ownMetrics, ...snapshotsOf(settings, instanceId) });
  const tables = new Tables({ ...common, topicPrefix, slots });
  const producer = new Producer({ kafka });
  const setup = new KafkaSetup({ settings, kafka, producer, env: deps.env, clock, logger });
  const { desired, wishes } = changesOf(settings, { clock, logger, tables, producer, setup, metrics: ownMetrics });
  const identity = { instanceId, slots, clock, tables };
  const { divert, peers } = divertOf(settings, { ...identity, replica, metrics: ownMetrics });
  const context: ApiContext = { ...identity, limits: settings, state: replica, divert, desired, wishes };
  const readiness = (): Readiness => readinessNow(settings, tables, replica);
  const registry = registryWatch(settings, deps, logger);
  const health = healthOf(settings, replica, registry);
  const schemaRecords = () => tables.schemas.values();
  const streams = new Streams({ context, limits: settings, metrics: createStreamMetrics(metrics), logger });
  const routes = routesOf({ context, health, streams, metrics, readiness, schemaRecords, version: deps.version });
  const server = new ApiServer({
    instanceId,
    listen: settings.httpListen,
    advertisedHost: advertisedHost(settings),
    routes,
    fast: new FastState({ context, metrics: ownMetrics }),
    limits: settings,
    clock,
    logger,
    metrics: ownMetrics,
  });
  const source = { tables, deviceChanges: tables.deviceChanges, state: replica, metrics: createGnmiMetrics(metrics) };
  const gnmi = createGnmiEndpoint({ settings, env: deps.env, instanceId, clock, logger, ...source });
  const chosen = slotChoiceOf(settings, { ...identity, replica, logger });
  const record = new InstanceRecord({
    ...common,
    producer,
    setup,
    topicPrefix,
    instanceId,
    zone: settings.zone,
    version: deps.version,
    http: () => server.address,
    gnmi: () => gnmi.address,
    slots: () => reportSlots(chosen?.held ?? Array(slots).keys(), replica),
    random: deps.random,
  });
  const parts = [
    tables,
    replica,
    record,
    ...(chosen === null ? [] : [chosen]),
    ...(registry === null ? [] : [registry]),
  ];
  return {
    components: [peers, server, gnmi, producer, setup, new SideBySide('tables and state', parts)],
    get address() {
      return server.address;
    },
    readiness,
  };
}

function replicaOf(
  settings: QueryApiSettings,
  common: Pick<ReplicaOptions, 'kafka' | 'clock' | 'logger' | 'onFatal' | 'metrics' | 'snapshots'>,
): Replica {
  const { topicPrefix, slots, resumeWindowMs, readReplicas } = settings;
  const holds = readReplicas === 'all' ? 'all' : 'none'; // none until they are chosen
  return new Replica({ ...common, topic: topicOf(topicPrefix, 'state'), slots, resumeWindowMs, holds });
}

interface ChangeParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tables: Tables;
  readonly producer: Producer;
  readonly setup: KafkaSetup;
  readonly metrics: QueryApiMetrics;
}

function changesOf(settings: QueryApiSettings, parts: ChangeParts): Pick<ApiContext, 'desired' | 'wishes'> {
  const { topicPrefix, slots, maxPathElements, writeTimeoutMs } = settings;
  const { setup, tables, producer, ...common } = parts;
  const framePrefix: SchemaIds['framePrefix'] = (topic, message) => setup.schemas.framePrefix(topic, message);
  const writer = new ChangeWriter({ sender: producer, framePrefix, writeTimeoutMs, clock: parts.clock });
  const changing = { writer, ...common };
  const { devices, profiles } = tables;
  const topics = { devices: topicOf(topicPrefix, 'devices'), profiles: topicOf(topicPrefix, 'profiles') };
  return {
    desired: new DesiredState({ ...changing, devices, profiles, topics, slots, maxPathElements }),
    wishes: new Wishes({ ...changing, tables, topic: topicOf(topicPrefix, 'ownership') }),
  };
}

interface DivertParts {
  readonly instanceId: string;
  readonly clock: Clock;
  readonly tables: Tables;
  readonly replica: Replica;
  readonly metrics: QueryApiMetrics;
}

function divertOf(settings: QueryApiSettings, parts: DivertParts): { divert: Divert; peers: PeerClient } {
  const { instanceId, clock, tables, replica, metrics } = parts;
  const peers = new PeerClient({ self: instanceId, clock });
  const experience = new PeerExperience(clock);
  const divert = new Divert({
    zone: settings.zone ?? '',
    state: replica,
    candidates: new Candidates({ tables, self: instanceId, experience }),
    races: new PeerRaces({
      client: peers,
      experience,
      clock,
      onAttempt: (outcome) => metrics.peerAttempts.inc({ outcome }),
    }),
    streams: new StreamProxy({ client: peers, experience, clock }),
    lender: settings.readReplicas === 'all' ? null : replica,
    clock,
    metrics,
  });
  return { divert, peers };
}

function snapshotsOf(settings: QueryApiSettings, instanceId: string): Pick<ReplicaOptions, 'snapshots'> {
  const { dataDir, snapshotIntervalMs: intervalMs } = settings;
  return intervalMs === 0 ? {} : { snapshots: { folder: new SnapshotFolder(dataDir, instanceId), intervalMs } };
}

/** Null where everybody holds everything. */
function slotChoiceOf(
  settings: QueryApiSettings,
  parts: Pick<DivertParts, 'instanceId' | 'clock' | 'tables' | 'replica'> & { readonly logger: Logger },
): SlotChoice | null {
  const { readReplicas, slots, readyStalenessMs } = settings;
  if (readReplicas === 'all') return null;
  const { instanceId: self, replica: holder, ...common } = parts;
  return new SlotChoice({ ...common, self, holder, slots, replicas: Number(readReplicas), freshMs: readyStalenessMs });
}

function healthOf(settings: QueryApiSettings, replica: Replica, registry: RegistryWatch | null): ClusterHealth {
  return {
    readyStalenessMs: settings.readyStalenessMs,
    kafkaOk: () => replica.kafkaOk,
    worstStalenessMs: () => replica.worstStalenessMs(),
    registryAnswers: () => registry?.answers ?? null,
  };
}

/** Null where the schemas are kept in Kafka. */
function registryWatch(settings: QueryApiSettings, deps: ServiceDeps, logger: Logger): RegistryWatch | null {
  const ask = registryProbe(settings, deps.env, deps.clock);
  return ask === null ? null : new RegistryWatch({ ask, clock: deps.clock, logger });
}

function readinessNow(settings: QueryApiSettings, tables: Tables, replica: Replica): Readiness {
  return readinessOf({
    tablesLoaded: tables.loaded,
    kafkaOk: replica.kafkaOk,
    slots: Array.from({ length: settings.slots }, (_, slot) => replica.freshness(slot)),
    readyStalenessMs: settings.readyStalenessMs,
  });
}
