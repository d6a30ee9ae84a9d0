import { encodeFrame } from '../../schemas/frame.ts';
import { type Instance, instanceCodec, type InstanceSlot } from '../../schemas/instance.ts';
import { topicOf } from '../../schemas/topics.ts';
import { raceAbort } from '../abort.ts';
import { type Clock, type Timer } from '../clock.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Component } from '../lifecycle.ts';
import { type Logger, RateLimited } from '../logger.ts';
import { type KafkaOptions } from './connection.ts';
import { invalidTimestamp } from './errors.ts';
import { recordMessage } from './log-reader.ts';
import { type SchemaIds } from './registry.ts';
import { Table } from './table.ts';

/**
 * Says once a second in topic `instances` that this process lives, and sees to it that no other one uses its id.
 *
 * I1. A record of our id by another incarnation is evidence only if it is *renewed* while we watch: the last record of a
 *     killed process stays. Clocks are not compared.
 * I2. Of two that start at once the later one gives way; both keep watching for a while after their first record.
 * I3. The null at a clean stop is written only by who wrote records before.
 * I4. A clock far from that of another living process is told, and decides nothing.
 */
export interface InstanceReporterOptions {
  readonly kafka: KafkaOptions;
  readonly producer: InstanceProducer;
  readonly schemas: SchemaIds;
  readonly topicPrefix: string;
  readonly instanceId: string;
  /** Random, new at every start of the process. */
  readonly incarnation: string;
  /** `ingest`, `replicator`, `query-api`. */
  readonly role: string;
  readonly version: string;
  readonly zone?: string | undefined;
  /** What changes while the process runs; asked once a second. */
  readonly now: () => InstanceNow;
  readonly onFatal: (error: HoldfastError) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For tests. */
  readonly watchMs?: number;
}

export interface InstanceNow {
  /** `host:port`; empty: serves none. */
  readonly http: string;
  readonly gnmi: string;
  readonly draining: boolean;
  readonly slots: readonly InstanceSlot[];
}

/** The part of `Producer` that reporting needs. */
export interface InstanceProducer {
  send(topic: string, partition: number, records: readonly { key: Buffer; value: Buffer | null }[]): Promise<bigint>;
}

const periodMs = 1_000;
const stopMsMax = 2_000;
/** Far more than a record takes from its writer to us. */
const clockApartMsMax = 10_000;

export class InstanceReporter implements Component {
  readonly name = 'instance reporter';
  readonly #options: InstanceReporterOptions;
  readonly #topic: string;
  readonly #key: Buffer;
  readonly #limited = new RateLimited();
  readonly #watch: Table<Instance>;
  readonly #stopping = new AbortController();
  #startedAtNs = 0n;
  #announced = false;
  /** What the table reads from now on is being written now. */
  #live = false;
  #clockTold = false;
  #timer: Timer | null = null;
  #watchEnd: Timer | null = null;
  #sending: Promise<void> | null = null;
  #onOther: ((other: Instance) => void) | null = null;
  #cpu = { atMonotonicMs: 0, usedUs: 0 };

  constructor(options: InstanceReporterOptions) {
    this.#options = options;
    this.#topic = topicOf(options.topicPrefix, 'instances');
    this.#key = Buffer.from(options.instanceId);
    this.#watch = new Table<Instance>({
      kafka: options.kafka,
      topic: this.#topic,
      partitions: [0],
      decode: (_key, record) => instanceCodec.decode(recordMessage(record)),
      onChange: (key, value, record) => {
        if (value === undefined || value.incarnation === options.incarnation) return;
        if (record !== null) this.#compareClocks(key, record.timestampMs);
        if (key === options.instanceId) this.#onOther?.(value);
      },
      onFatal: options.onFatal,
      clock: options.clock,
      logger: options.logger,
    });
  }

  /** Resolves when our first record is durable. @throws `INSTANCE_ID_TAKEN` */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, incarnation, instanceId, watchMs = 2_500 } = this.#options;
    this.#startedAtNs = clock.nowNs();
    this.#cpu = { atMonotonicMs: clock.monotonicMs(), usedUs: cpuUs() };
    await this.#watch.start(signal);
    this.#live = true;
    const present = this.#watch.get(instanceId);
    if (present !== undefined && present.incarnation !== incarnation) await this.#refuseIfRenewed(watchMs, signal); // I1
    this.#onOther = (other) => {
      if (isLater(other, this.#startedAtNs, incarnation)) return; // it sees our records, and gives way itself
      this.#options.onFatal(this.#taken(other)); // I2
    };
    this.#announced = true;
    await this.#send(this.#record());
    this.#timer = clock.every(periodMs, () => this.#tick());
    this.#watchEnd = clock.after(watchMs, () => void this.#stopWatching());
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new Error('the reporter stops'));
    this.#timer?.cancel();
    this.#watchEnd?.cancel();
    await this.#stopWatching();
    if (!this.#announced) return; // I3
    const { clock, logger } = this.#options;
    const patience = new AbortController();
    const timer = clock.after(stopMsMax, () => patience.abort(new Error(`not written within ${stopMsMax} ms`)));
    try {
      await raceAbort(this.#sending ?? Promise.resolve(), patience.signal);
      await raceAbort(this.#send(null), patience.signal);
    } catch (thrown) {
      // Readers notice after 5 s of silence; that is all the null is for.
      logger.warn({ cause: messageOf(thrown) }, 'instance record not withdrawn');
    } finally {
      timer.cancel();
    }
  }

  async #refuseIfRenewed(watchMs: number, signal: AbortSignal): Promise<void> {
    const renewed: Instance[] = [];
    const found = new AbortController();
    this.#onOther = (other) => {
      renewed.push(other);
      found.abort();
    };
    const either = AbortSignal.any([signal, found.signal, this.#stopping.signal]);
    await this.#options.clock.sleep(watchMs, either).catch(() => undefined);
    this.#onOther = null;
    if (renewed[0] !== undefined) throw this.#taken(renewed[0]);
    signal.throwIfAborted();
    this.#stopping.signal.throwIfAborted();
  }

  async #stopWatching(): Promise<void> {
    this.#onOther = null;
    await this.#watch.stop();
  }

  /** One line is enough: whose clock is wrong is for the operator to see. */
  #compareClocks(other: string, writtenAtMs: number): void {
    const aheadMs = this.#options.clock.nowMs() - writtenAtMs;
    if (!this.#live || this.#clockTold || Math.abs(aheadMs) < clockApartMsMax) return;
    this.#clockTold = true;
    this.#options.logger.warn({ other, aheadMs }, 'clock differs from that of another instance: set both right (NTP)'); // I4
  }

  #tick(): void {
    if (this.#sending !== null) return; // Kafka is slow or away: the next second tells the same
    this.#sending = this.#send(this.#record())
      .catch((thrown: unknown) => {
        // The clock was stepped: everything else that we write is refused as well.
        if (thrown instanceof HoldfastError && thrown.facts['kafkaCode'] === invalidTimestamp) {
          this.#options.onFatal(thrown);
          return;
        }
        const suppressed = this.#limited.pass('send', this.#options.clock.monotonicMs());
        if (suppressed === undefined || this.#stopping.signal.aborted) return;
        this.#options.logger.warn({ cause: messageOf(thrown), suppressed }, 'instance record not written');
      })
      .finally(() => {
        this.#sending = null;
      });
  }

  async #send(value: Buffer | null): Promise<void> {
    await this.#options.producer.send(this.#topic, 0, [{ key: this.#key, value }]);
  }

  #record(): Buffer {
    const { instanceId, role, incarnation, zone, version, schemas } = this.#options;
    const { http, gnmi, draining, slots } = this.#options.now();
    const instance: Instance = {
      instance: instanceId,
      role,
      incarnation,
      http,
      gnmi,
      zone: zone ?? '',
      version,
      startedAtNs: this.#startedAtNs,
      draining,
      load: this.#load(),
      slots,
    };
    return encodeFrame(schemas.idOf(this.#topic, instanceCodec.message), instanceCodec.encode(instance));
  }

  /** CPU of this process since the last record, in thousandths of a core. */
  #load(): number {
    const next = { atMonotonicMs: this.#options.clock.monotonicMs(), usedUs: cpuUs() };
    const elapsedUs = (next.atMonotonicMs - this.#cpu.atMonotonicMs) * 1_000;
    const load = elapsedUs > 0 ? Math.round(((next.usedUs - this.#cpu.usedUs) / elapsedUs) * 1_000) : 0;
    this.#cpu = next;
    return Math.max(load, 0);
  }

  #taken(other: Instance): HoldfastError {
    const { instanceId } = this.#options;
    const where = other.http === '' ? '' : ` at ${other.http}`;
    return new HoldfastError(
      'INSTANCE_ID_TAKEN',
      `another ${other.role} process${where} runs as instance ${instanceId}: set HOLDFAST_INSTANCE_ID to a name of its own`,
      { facts: { instanceId, otherIncarnation: other.incarnation, otherHttp: other.http } },
    );
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Whether the other one started after us: by its own clock, and by name where those agree. */
function isLater(other: Instance, ourStartNs: bigint, ourIncarnation: string): boolean {
  if (other.startedAtNs !== ourStartNs) return other.startedAtNs > ourStartNs;
  return other.incarnation > ourIncarnation;
}
