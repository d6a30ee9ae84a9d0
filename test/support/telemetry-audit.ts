import { type LogBatch, type LogRecord } from '../../core/kafka/log-reader.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { decodeDeviceMessage } from '../../schemas/notification.ts';
import { formatElems } from '../../schemas/path.ts';
import { decodeHeader, type RecordHeader } from '../../schemas/position.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { type TestKafka } from './kafka.ts';
import { TelemetryFollower } from './telemetry-follower.ts';

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

export class TelemetryAudit extends TelemetryFollower {
  readonly devices = new Map<string, DeviceAudit>();
  readonly markers: SeenRecord[] = [];
  dataRecords = 0;
  /** What was missing, in words. */
  readonly holes: string[] = [];
  #windowOpen = false;

  constructor(kafka: TestKafka, slots: number) {
    super(kafka, slots, 'audit');
  }

  /** From now on sequence numbers are counted; what came before is forgotten. */
  beginWindow(): void {
    this.devices.clear();
    this.holes.length = 0;
    this.markers.length = 0;
    this.#windowOpen = true;
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

  protected override apply(batch: LogBatch): void {
    for (const record of batch.records) this.#record(batch.partition, record);
  }

  #record(partition: number, record: LogRecord): void {
    if (record.header === null || record.value === null || record.key === null)
      throw new Error('a telemetry record lacks its header, key or value');
    const header = decodeHeader(record.header);
    this.notePosition(partition, header);
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
