import { groupOf, topicOf, transactionalIdOf } from '../schemas/topics.ts';
import { type Slot } from '../schemas/slot.ts';
import { type Readiness } from '../core/admin-server.ts';
import { advertisedHost } from '../core/advertised-host.ts';
import { type Clock } from '../core/clock.ts';
import { type HoldfastError } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { FencedWriter } from '../core/kafka/fenced-writer.ts';
import { GroupMember } from '../core/kafka/group-member.ts';
import { InstanceReporter } from '../core/kafka/instance-reporter.ts';
import { KafkaStage } from '../core/kafka/kafka-stage.ts';
import { type LockTimers } from '../core/kafka/lock-timers.ts';
import { LogReader } from '../core/kafka/log-reader.ts';
import { ProduceDispatcher } from '../core/kafka/produce-dispatcher.ts';
import { type Producer } from '../core/kafka/producer.ts';
import { ProducerIds } from '../core/kafka/producer-id.ts';
import { type SchemaIds } from '../core/kafka/registry.ts';
import { alwaysWarm, type WriterHooks } from '../core/kafka/slot-host.ts';
import { TcpPeers } from '../core/kafka/tcp-peers.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type Metrics } from '../core/metrics.ts';
import { type Random } from '../core/random.ts';
import { type ReplicatorSettings } from './config.ts';
import { DeviceFactsTable } from './device-facts.ts';
import { ReplicatorMetrics } from './metrics.ts';
import { StateHost } from './ownership.ts';

/**
 * Everything of the replicator that needs Kafka to be there: topics and schema ids first, then the parts that are made
 * of them, in order. One component, so that a Kafka that is away at start is waited for in one place.
 */
export interface StateKeepingOptions {
  readonly settings: ReplicatorSettings;
  readonly instanceId: string;
  readonly incarnation: string;
  readonly kafka: KafkaOptions;
  readonly producer: Producer;
  readonly timers: LockTimers;
  readonly metrics: Metrics;
  /** `host:port` of our HTTP server. */
  readonly http: () => string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

/** The parts that exist once the schema ids are known. */
interface Parts {
  readonly components: readonly Component[];
  readonly host: StateHost;
  readonly member: GroupMember<FencedWriter>;
  readonly dispatcher: ProduceDispatcher;
  readonly telemetry: LogReader;
}

export class StateKeeping implements Component {
  readonly name = 'state keeping';
  readonly #options: StateKeepingOptions;
  readonly #stage: KafkaStage;
  readonly #dispatcher: ProduceDispatcher;
  readonly #peers: TcpPeers;
  readonly #metrics: ReplicatorMetrics;
  #parts: Parts | null = null;

  constructor(options: StateKeepingOptions) {
    this.#options = options;
    this.#dispatcher = new ProduceDispatcher(options);
    this.#peers = new TcpPeers({
      ...options,
      listen: options.settings.peerListen,
      advertisedHost: advertisedHost(options.settings),
    });
    this.#metrics = new ReplicatorMetrics(options.metrics, this.#dispatcher.counters, this.#peers.counters);
    this.#stage = new KafkaStage({
      ...options,
      name: this.name,
      components: (schemas) => (this.#parts = this.#makeParts(schemas)).components,
    });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#stage.start(signal);
  }

  stop(): Promise<void> {
    return this.#stage.stop();
  }

  readiness(): Readiness {
    const parts = this.#parts;
    if (parts === null || !this.#stage.isRunning) return { ready: false, reasons: ['still starting'] };
    const reasons: string[] = [];
    const { host, member, dispatcher, telemetry } = parts;
    if (!dispatcher.kafkaOk || !telemetry.kafkaOk) reasons.push('Kafka does not answer');
    if (member.plan === null) reasons.push('no plan yet');
    const restoring = host.size - host.following;
    if (restoring > 0) reasons.push(`${restoring} of ${host.size} slots are being restored`);
    return { ready: reasons.length === 0, reasons };
  }

  #makeParts(schemas: SchemaIds): Parts {
    const { settings, instanceId, incarnation, kafka, producer, timers } = this.#options;
    const { version, http, clock, random, logger, onFatal } = this.#options;
    const dispatcher = this.#dispatcher;
    const { topicPrefix, slots } = settings;
    const common = { kafka, clock, logger, onFatal };
    const topics = { state: topicOf(topicPrefix, 'state'), telemetry: topicOf(topicPrefix, 'telemetry') };
    const facts = new DeviceFactsTable({ ...common, topicPrefix, slots });
    const producerIds = new ProducerIds({ kafka, clock, logger, random });
    const state = new LogReader({
      ...common,
      name: topics.state,
      onBatch: (batch) => host.onState(batch),
      onOutOfRange: (_topic, slot) => host.onStateReset(slot),
    });
    const telemetry = new LogReader({
      ...common,
      name: topics.telemetry,
      onBatch: (batch) => host.onTelemetry(batch),
      onOutOfRange: (_topic, slot) => host.onTelemetryReset(slot),
    });
    const host = this.#makeHost(schemas, { state, telemetry }, facts, (slot, nextOffset, applied) =>
      member.commitOffset(slot, nextOffset, applied),
    );
    const member = new GroupMember<FencedWriter>({
      ...common,
      groupId: groupOf(topicPrefix, 'replicator'),
      role: 'replicator',
      topicPrefix,
      slots,
      instanceId,
      incarnation,
      zone: settings.zone ?? '',
      timers,
      host,
      peers: this.#peers,
      standby: alwaysWarm,
      createWriter: (slot, epoch, hooks) => this.#makeWriter(slot, epoch, hooks, dispatcher, producerIds),
      producer,
      schemas,
      random,
    });
    const reporter = new InstanceReporter({
      ...common,
      producer,
      schemas,
      topicPrefix,
      instanceId,
      incarnation,
      role: 'replicator',
      version,
      zone: settings.zone,
      now: () => ({ http: http(), gnmi: '', draining: member.state === 'leaving', slots: host.progress() }),
    });
    // The reporter first: a second process with our id must not come as far as the group.
    const components = [facts, dispatcher, idsComponent(producerIds), state, telemetry, reporter, host, member];
    return { components, host, member, dispatcher, telemetry };
  }

  #makeHost(
    schemas: SchemaIds,
    readers: { readonly state: LogReader; readonly telemetry: LogReader },
    facts: DeviceFactsTable,
    commit: GroupMember<FencedWriter>['commitOffset'],
  ): StateHost {
    const { settings, instanceId, incarnation, clock, logger, onFatal } = this.#options;
    const topics = {
      state: topicOf(settings.topicPrefix, 'state'),
      telemetry: topicOf(settings.topicPrefix, 'telemetry'),
    };
    return new StateHost({
      topics,
      leafPrefix: schemas.framePrefix(topics.state, 'holdfast.v1.Leaf'),
      markerPrefix: schemas.framePrefix(topics.state, 'holdfast.v1.Marker'),
      groupBytesMax: settings.maxMessageBytes,
      unackedBytesMax: settings.maxUnackedBytes,
      conflateWindowNs: BigInt(settings.conflateWindowMs) * 1_000_000n,
      slots: settings.slots,
      instance: instanceId,
      incarnation,
      stateReader: readers.state,
      telemetryReader: readers.telemetry,
      commit,
      facts: (device) => facts.of(device),
      window: { windowNs: BigInt(settings.deleteWindowMs) * 1_000_000n, entriesMax: settings.deleteTimesMax },
      futureLimitNs: settings.futureLimitMs === 0 ? null : BigInt(settings.futureLimitMs) * 1_000_000n,
      metrics: this.#metrics,
      clock,
      logger,
      onFatal: (error: HoldfastError) => onFatal(error),
    });
  }

  #makeWriter(
    slot: Slot,
    epoch: bigint,
    hooks: WriterHooks,
    dispatcher: ProduceDispatcher,
    producerIds: ProducerIds,
  ): FencedWriter {
    const { settings, clock, logger } = this.#options;
    return new FencedWriter({
      slot,
      epoch,
      dispatcher,
      producerIds,
      transactionalId: transactionalIdOf(settings.topicPrefix, 'replicator', slot),
      ...hooks,
      // A leaf that is too large for the topic keeps its former value; the produce counters and a log line tell of it.
      onRefused: ({ topic }) => (topic === topicOf(settings.topicPrefix, 'state') ? 'go-on' : 'reject'),
      compression: settings.compression,
      clock,
      logger,
    });
  }
}

function idsComponent(producerIds: ProducerIds): Component {
  return {
    name: 'producer ids',
    start: () => Promise.resolve(),
    stop: () => {
      producerIds.destroy();
      return Promise.resolve();
    },
  };
}
