import { kafkaError } from '../core/kafka/errors.ts';
import { FencedWriter } from '../core/kafka/fenced-writer.ts';
import { GroupMember } from '../core/kafka/group-member.ts';
import { InstanceReporter } from '../core/kafka/instance-reporter.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { KafkaStage } from '../core/kafka/kafka-stage.ts';
import { type LockTimers } from '../core/kafka/lock-timers.ts';
import { ProduceDispatcher } from '../core/kafka/produce-dispatcher.ts';
import { type Producer } from '../core/kafka/producer.ts';
import { ProducerIds } from '../core/kafka/producer-id.ts';
import { type SchemaIds } from '../core/kafka/registry.ts';
import { type WriterHooks } from '../core/kafka/slot-host.ts';
import { TcpPeers } from '../core/kafka/tcp-peers.ts';
import { type Readiness } from '../core/admin-server.ts';
import { advertisedHost } from '../core/advertised-host.ts';
import { type Clock } from '../core/clock.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type Random } from '../core/random.ts';
import { type Slot } from '../schemas/slot.ts';
import { groupOf, topicOf, transactionalIdOf } from '../schemas/topics.ts';
import { type IngestSettings } from './config.ts';
import { DesiredTables } from './desired-tables.ts';
import { DialGate } from './dial-gate.ts';
import { FleetLog } from './fleet-log.ts';
import { grpcTransport } from './grpc-transport.ts';
import { createIngestMetrics, type IngestMetrics } from './metrics.ts';
import { IngestSlots } from './ownership.ts';
import { PreparedConnections } from './prepared-connections.ts';
import { UnackedBudget } from './session-credit.ts';
import { SessionWatch } from './session-watch.ts';
import { encodeMarker, type SlotWriterContext } from './slot-writer.ts';
import { IngestStandby } from './standby.ts';

/**
 * Everything of ingest that needs Kafka to be there, in order: topics, schema ids, tables, writers, the lock. One component, because
 * the later ones are made of what the earlier ones found. A Kafka that is away at start is waited for, and /readyz says so.
 */
export interface CollectingOptions {
  readonly settings: IngestSettings;
  readonly instanceId: string;
  readonly incarnation: string;
  readonly version: string;
  readonly kafka: KafkaOptions;
  readonly timers: LockTimers;
  /** Started before and stopped after this component. */
  readonly producer: Producer;
  readonly registry: Parameters<typeof createIngestMetrics>[0];
  /** `host:port` of /metrics and the health routes. */
  readonly http: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onFatal: (error: Error) => void;
}

export class Collecting implements Component {
  readonly name = 'collecting';
  readonly #options: CollectingOptions;
  readonly #stage: KafkaStage;
  readonly #budget: UnackedBudget;
  readonly #peers: TcpPeers;
  readonly #metrics: IngestMetrics;
  readonly #watch: SessionWatch;
  readonly #fleetLog: FleetLog;
  readonly #tables: DesiredTables;
  readonly #connections: PreparedConnections;
  readonly #standby: IngestStandby;
  readonly #slots: IngestSlots;
  readonly #dispatcher: ProduceDispatcher;
  readonly #producerIds: ProducerIds;
  #schemas: SchemaIds | null = null;
  #member: GroupMember<FencedWriter> | null = null;

  constructor(options: CollectingOptions) {
    this.#options = options;
    const { settings, kafka, clock, logger, random, registry } = options;
    this.#budget = new UnackedBudget({ bytesMax: settings.maxUnackedBytes });
    this.#dispatcher = new ProduceDispatcher({ kafka, clock, logger, random });
    this.#peers = new TcpPeers({
      ...options,
      listen: settings.peerListen,
      advertisedHost: advertisedHost(settings),
    });
    this.#metrics = createIngestMetrics(registry, {
      sessionsByState: () => this.#slots.sessionsByState(),
      slotsHeld: () => this.#slots.held(),
      unackedBytes: () => this.#budget.usedBytes,
      produced: this.#dispatcher.counters,
      peers: this.#peers.counters,
      tableLagRecords: () => this.#tables.lagRecords(),
    });
    this.#watch = new SessionWatch({ clock });
    this.#fleetLog = new FleetLog({ logger, clock });
    this.#tables = new DesiredTables({
      ...options,
      topicPrefix: settings.topicPrefix,
      slots: settings.slots,
      onDevice: (name) => {
        this.#standby.deviceChanged(name);
        this.#slots.deviceChanged(name);
      },
      onStatus: (name) => this.#slots.statusSeen(name),
    });
    this.#connections = new PreparedConnections({
      transport: grpcTransport,
      clock,
      random,
      metrics: this.#metrics,
      settings,
      connectionsMax: settings.standbyConnectionsMax,
      dialsMax: settings.standbyDialsMax,
    });
    this.#standby = new IngestStandby({
      catalogue: this.#tables.catalogue,
      caughtUp: () => this.#tables.caughtUp,
      connections: this.#connections,
      connectionsMax: settings.standbyConnectionsMax,
      dial: options,
      clock,
      onWarm: () => this.#member?.warmed(),
    });
    this.#slots = this.#createSlots();
    this.#producerIds = new ProducerIds({ kafka, clock, logger, random });
    this.#stage = new KafkaStage({
      ...options,
      name: this.name,
      components: (schemas) => this.#createComponents(schemas),
    });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#stage.start(signal);
  }

  /** Hands the slots over, then lets go of everything. */
  async stop(): Promise<void> {
    await this.#stage.stop();
    this.#producerIds.destroy();
  }

  readiness(): Readiness {
    const reasons: string[] = [];
    if (this.#schemas === null) reasons.push('Kafka was not reached yet: topics and schemas are unknown');
    else if (!this.#tables.caughtUp) reasons.push('devices and profiles are being read');
    else if (!this.#stage.isRunning) reasons.push('the group was not joined yet');
    if (this.#schemas !== null && (!this.#dispatcher.kafkaOk || !this.#tables.kafkaOk))
      reasons.push('Kafka does not answer');
    if (this.#stage.isRunning && !this.#leaseLive()) reasons.push('the lease is over: no slot may be held');
    return { ready: reasons.length === 0, reasons };
  }

  #leaseLive(): boolean {
    return this.#member?.leaseLive() === true;
  }

  #createComponents(schemas: SchemaIds): Component[] {
    this.#schemas = schemas;
    this.#member = this.#createMember(schemas);
    const reporter = this.#createReporter(schemas);
    // What was prepared goes only when nothing can be taken over any more.
    const standby = [this.#connections, this.#standby];
    return [this.#tables, this.#watch, this.#fleetLog, this.#dispatcher, ...standby, reporter, this.#member];
  }

  #createSlots(): IngestSlots {
    const { settings, instanceId, clock, random, env } = this.#options;
    const supervisor = {
      session: {
        transport: this.#connections,
        watch: this.#watch,
        clock,
        metrics: this.#metrics,
        leaseLive: () => this.#leaseLive(),
      },
      budget: this.#budget,
      gate: new DialGate({ max: settings.dialsMax }),
      random,
      env,
      fleetLog: this.#fleetLog,
      limited: new RateLimited(),
      settings,
      instance: instanceId,
    };
    return new IngestSlots({
      supervisor,
      budget: this.#budget,
      catalogue: this.#tables.catalogue,
      statuses: this.#tables,
      writers: () => this.#writerContext(),
      standby: this.#standby,
      onDiscarded: (bytes) => this.#metrics.bytesDiscarded.inc(bytes),
    });
  }

  #writerContext(): SlotWriterContext {
    const { settings, instanceId, incarnation, clock } = this.#options;
    const telemetry = topicOf(settings.topicPrefix, 'telemetry');
    const status = topicOf(settings.topicPrefix, 'status');
    const schemas = this.#knownSchemas();
    return {
      topics: { telemetry, status },
      prefixes: {
        data: schemas.framePrefix(telemetry, 'gnmi.SubscribeResponse'),
        marker: schemas.framePrefix(telemetry, 'holdfast.v1.Marker'),
        status: schemas.framePrefix(status, 'holdfast.v1.DeviceStatus'),
      },
      instance: instanceId,
      incarnation,
      clock,
      onMarker: (kind) => this.#metrics.markers.inc({ kind }),
    };
  }

  #createMember(schemas: SchemaIds): GroupMember<FencedWriter> {
    const { settings, instanceId, incarnation, kafka, timers, producer, clock, random, logger, onFatal } =
      this.#options;
    return new GroupMember<FencedWriter>({
      groupId: groupOf(settings.topicPrefix, 'ingest'),
      role: 'ingest',
      topicPrefix: settings.topicPrefix,
      slots: settings.slots,
      instanceId,
      incarnation,
      zone: settings.zone ?? '',
      timers,
      kafka,
      host: this.#slots,
      peers: this.#peers,
      standby: this.#standby,
      createWriter: (slot, epoch, hooks) => this.#createWriter(slot, epoch, hooks),
      producer,
      schemas,
      clock,
      random,
      logger,
      onFatal,
    });
  }

  #createWriter(slot: Slot, epoch: bigint, hooks: WriterHooks): FencedWriter {
    const { settings, clock, logger } = this.#options;
    const { prefixes, instance, incarnation } = this.#writerContext();
    return new FencedWriter({
      ...hooks,
      slot,
      epoch,
      transactionalId: transactionalIdOf(settings.topicPrefix, 'ingest', slot),
      dispatcher: this.#dispatcher,
      producerIds: this.#producerIds,
      compression: settings.compression,
      // The broker refused a record for good (too large, most likely): this stands in its place, at its position.
      gapMarker: ({ key, valueBytes }) => {
        this.#metrics.messagesDiscarded.inc({ reason: 'refused' });
        const device = key.toString();
        const detail = `Kafka refused a record of ${valueBytes} bytes; compare maxMessageBytes with the limits of topic and broker`;
        this.#slots.messageRefused(device, detail);
        const marker = encodeMarker('gap', { device, reason: 'refused', detail, lost: 1n, instance, incarnation });
        return Buffer.concat([prefixes.marker, marker]);
      },
      clock,
      logger,
    });
  }

  #createReporter(schemas: SchemaIds): InstanceReporter {
    const { settings, kafka, producer, instanceId, incarnation, version, clock, logger, onFatal, http } = this.#options;
    return new InstanceReporter({
      kafka,
      producer,
      schemas,
      topicPrefix: settings.topicPrefix,
      instanceId,
      incarnation,
      role: 'ingest',
      version,
      zone: settings.zone,
      now: () => ({
        http: http(),
        gnmi: '',
        draining: this.#stage.isStopping,
        slots: this.#slots.positions().map((position) => ({ ...position, stalenessMs: 0 })),
      }),
      onFatal,
      clock,
      logger,
    });
  }

  #knownSchemas(): SchemaIds {
    if (this.#schemas === null) throw kafkaError(new Error('schema ids are not known yet'));
    return this.#schemas;
  }
}
