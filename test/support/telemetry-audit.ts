import { systemClock } from '../../core/clock.ts';
import { type KafkaOptions } from '../../core/kafka/connection.ts';
import { type LogBatch, LogReader, type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { decodeDeviceMessage } from '../../schemas/notification.ts';
import { formatElems } from '../../schemas/path.ts';
import { decodeHeader, type RecordHeader } from '../../schemas/position.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { type TestKafka } from './kafka.ts';

/**
 * Reads `telemetry` as a stranger would and counts against the truth that every simulated notification carries: the
 * device's own sequence number, first update of each.
 */
export interface DeviceAudit {
  /** First and last sequence number seen since `beginWindow`. */
  first: bigint | null;
  last: bigint | null;
  records: number;
  missing: bigint;
  repeated: number;
  outOfOrder: number;
}

export interface SeenRecord {
  readonly partition: number;
  readonly key: string;
  readonly header: RecordHeader;
  readonly offset: bigint;
  /** The frame taken off. */
  readonly message: Buffer;
}

const sequencePath = '/simulator/state/sequence';

export class TelemetryAudit {
  readonly devices = new Map<string, DeviceAudit>();
  /** Records whose epoch is below one seen before in their partition. */
  lowerEpochs = 0;
  /** Breaks in 1, 2, 3 … of an epoch. */
  seqHoles = 0;
  readonly markers: SeenRecord[] = [];
  dataRecords = 0;
  /** What was missing, in words. */
  readonly holes: string[] = [];
  readonly #slots: number;
  readonly #topic: string;
  readonly #reader: LogReader;
  readonly #highest = new Map<number, { epoch: bigint; seq: bigint }>();
  #windowOpen = false;

  constructor(kafka: TestKafka, slots: number) {
    this.#slots = slots;
    this.#topic = `${kafka.prefix}telemetry`;
    const options: KafkaOptions = {
      brokers: kafka.brokers,
      clientId: 'audit',
      logger: silentLogger,
      clock: systemClock,
    };
    this.#reader = new LogReader({
      kafka: options,
      name: 'audit',
      clock: systemClock,
      logger: silentLogger,
      onBatch: (batch) => this.#apply(batch),
    });
  }

  async start(): Promise<void> {
    for (let slot = 0; slot < this.#slots; slot += 1) this.#reader.assign(this.#topic, slot, 'earliest');
    await this.#reader.start(new AbortController().signal);
  }

  stop(): Promise<void> {
    return this.#reader.stop();
  }

  /** From now on sequence numbers are counted; what came before is forgotten. */
  beginWindow(): void {
    this.devices.clear();
    this.holes.length = 0;
    this.markers.length = 0;
    this.#windowOpen = true;
  }

  /** Resolves when everything that is in the log now has been read. */
  async readToEnd(): Promise<void> {
    const { signal } = new AbortController();
    for (let slot = 0; slot < this.#slots; slot += 1) await this.#reader.readToEnd(this.#topic, slot, signal);
  }

  /** Sums over all devices. */
  totals(): { records: number; missing: bigint; repeated: number; outOfOrder: number } {
    const sum = { records: 0, missing: 0n, repeated: 0, outOfOrder: 0 };
    for (const audit of this.devices.values()) {
      sum.records += audit.records;
      sum.missing += audit.missing;
      sum.repeated += audit.repeated;
      sum.outOfOrder += audit.outOfOrder;
    }
    return sum;
  }

  #apply(batch: LogBatch): void {
    for (const record of batch.records) this.#record(batch.partition, record);
  }

  #record(partition: number, record: LogRecord): void {
    if (record.header === null || record.value === null || record.key === null)
      throw new Error('a telemetry record lacks its header, key or value');
    const header = decodeHeader(record.header);
    this.#position(partition, header);
    const key = record.key.toString();
    if (header.kind !== 'data') {
      const { message } = decodeFrame(record.value);
      this.markers.push({ partition, key, header, offset: record.offset, message });
      return;
    }
    this.dataRecords += 1;
    if (!this.#windowOpen) return;
    const message = decodeDeviceMessage(decodeFrame(record.value).message);
    if (message.kind !== 'update') return;
    const first = message.notification.updates[0];
    if (first?.value === null || first === undefined) return;
    if (formatElems([...(message.notification.prefix?.elems ?? []), ...first.path.elems]) !== sequencePath) return;
    const value = decodeTypedValue(first.value);
    if (value?.kind === 'uint') this.#sequence(key, value.value);
  }

  #position(partition: number, header: RecordHeader): void {
    const highest = this.#highest.get(partition);
    if (highest !== undefined && header.epoch < highest.epoch) {
      this.lowerEpochs += 1;
      return;
    }
    const expected = highest?.epoch === header.epoch ? highest.seq + 1n : 1n;
    if (header.seq !== expected) this.seqHoles += 1;
    this.#highest.set(partition, { epoch: header.epoch, seq: header.seq });
  }

  #sequence(device: string, sequence: bigint): void {
    const audit = this.devices.get(device);
    if (audit === undefined) {
      this.devices.set(device, {
        first: sequence,
        last: sequence,
        records: 1,
        missing: 0n,
        repeated: 0,
        outOfOrder: 0,
      });
      return;
    }
    audit.records += 1;
    const last = audit.last ?? 0n;
    if (sequence === last) audit.repeated += 1;
    else if (sequence < last) audit.outOfOrder += 1;
    else {
      if (sequence !== last + 1n) this.holes.push(`${device} ${last}..${sequence}`);
      audit.missing += sequence - last - 1n;
      audit.last = sequence;
    }
  }
}
