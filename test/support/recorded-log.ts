import { type Marker, markerCodec } from '../../schemas/marker.ts';
import { decodeHeader, type RecordKind } from '../../schemas/position.ts';
import { type DeviceStatus, deviceStatusCodec } from '../../schemas/status.ts';
import { type AckListener, type SlotLog, type SlotWriterContext } from '../../ingest/slot-writer.ts';
import { deferred } from '../../core/deferred.ts';
import { type NumberedRecord } from '../../core/kafka/fenced-writer.ts';
import { systemClock } from '../../core/clock.ts';
import { eventually } from './eventually.ts';

/** Stands where the fenced writer stands: keeps what was appended in order, acknowledges at once or when a test says so. */
export interface RecordedEntry {
  readonly key: string;
  readonly kind: RecordKind;
  readonly rpc: number;
  readonly seq: bigint;
  readonly value: Buffer;
  readonly marker: Marker | null;
}

export class RecordedLog implements SlotLog {
  readonly epoch = 7n;
  readonly telemetry: RecordedEntry[] = [];
  readonly statuses: { device: string; status: DeviceStatus | null; seq: bigint }[] = [];
  lastSeq = 0n;
  unackedBytes = 0;
  stopped = 0;
  /** False: acks wait for `ackAll`. */
  acking = true;
  #waiting: { bytes: number; listener: AckListener | undefined; resolve: () => void }[] = [];

  start(): Promise<void> {
    return Promise.resolve();
  }

  progress(): { unacked: boolean; ackedBatches: number } {
    return { unacked: this.#waiting.length > 0, ackedBatches: 0 };
  }

  stop(): number {
    this.stopped += 1;
    const left = this.#waiting.length;
    this.#waiting = [];
    return left;
  }

  /** Takes nothing any more: `append` throws this. */
  ended: Error | null = null;

  appendNumbered(_topic: string, record: NumberedRecord, listener?: AckListener): { readonly acked: Promise<void> } {
    if (this.ended !== null) throw this.ended;
    this.lastSeq += 1n;
    this.telemetry.push({
      key: record.key.toString(),
      kind: record.kind,
      rpc: record.rpc,
      seq: this.lastSeq,
      value: Buffer.from(record.value),
      marker: record.kind === 'data' ? null : markerCodec.decode(record.value),
    });
    return this.#accept(record.value.length, listener);
  }

  append(
    _topic: string,
    _partition: number,
    records: readonly { readonly key: Buffer; readonly value: Buffer | null; readonly header: Buffer | null }[],
    listener?: AckListener,
  ): { readonly acked: Promise<void> } {
    if (this.ended !== null) throw this.ended;
    let bytes = 0;
    for (const { key, value, header } of records) {
      bytes += value?.length ?? 0;
      const status = value === null ? null : deviceStatusCodec.decode(value.subarray(6));
      this.statuses.push({ device: key.toString(), status, seq: header === null ? 0n : decodeHeader(header).seq });
    }
    return this.#accept(bytes, listener);
  }

  async flushed(): Promise<void> {
    await eventually('every batch acked', 5_000, () => this.#waiting.length === 0);
  }

  ackAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { bytes, listener, resolve } of waiting) {
      this.unackedBytes -= bytes;
      if (bytes > 0) listener?.acked(bytes);
      resolve();
    }
  }

  /** Kinds in order, `data` included. */
  kinds(device: string): RecordKind[] {
    return this.telemetry.filter(({ key }) => key === device).map(({ kind }) => kind);
  }

  markers(kind: RecordKind): Marker[] {
    return this.telemetry.flatMap((entry) => (entry.kind === kind && entry.marker !== null ? [entry.marker] : []));
  }

  statusOf(device: string): DeviceStatus | null | undefined {
    return this.statuses.findLast((entry) => entry.device === device)?.status;
  }

  #accept(bytes: number, listener: AckListener | undefined): { readonly acked: Promise<void> } {
    const { promise, resolve } = deferred<undefined>();
    this.unackedBytes += bytes;
    this.#waiting.push({ bytes, listener, resolve: () => resolve(undefined) });
    const ackIfStill = (): void => (this.acking ? this.ackAll() : undefined); // what was appended since may have to wait
    if (this.acking) setImmediate(ackIfStill);
    return { acked: promise };
  }
}

export function recordedContext(): SlotWriterContext {
  const prefix = Buffer.from([0, 0, 0, 0, 1, 0]);
  return {
    topics: { telemetry: 'telemetry', status: 'status' },
    prefixes: { data: prefix, marker: prefix, status: prefix },
    instance: 'ingest-1',
    incarnation: 'run-1',
    clock: systemClock,
    onMarker: () => undefined,
  };
}
