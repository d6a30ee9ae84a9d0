/** Telemetry and state records for tests, written down the way ingest and the replicator write them. */
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { type WriterRecord } from '../../core/kafka/slot-host.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { emptyMarker, type Marker, markerCodec } from '../../schemas/marker.ts';
import { type Path, parsePath } from '../../schemas/path.ts';
import { encodeHeader, type RecordKind } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';

export const messageSchemaId = 1;
export const markerSchemaId = 2;
export const leafSchemaId = 3;
export const slot = 3;

/** What a test says of a notification: paths as text, values as numbers (uint) or encoded. */
export interface Said {
  readonly at: number | bigint;
  readonly prefix?: string;
  readonly updates?: readonly (readonly [path: string, value: number | Buffer | null])[];
  readonly deletes?: readonly string[];
  readonly atomic?: boolean;
}

export function uint(value: number | bigint): Buffer {
  return encodeTypedValue({ kind: 'uint', value: BigInt(value) });
}

export function path(text: string): Path {
  return text === '' ? { origin: '', target: '', elems: [] } : parsePath(text);
}

export function message(said: Said): Buffer {
  return gnmi.SubscribeResponse.encode({
    update: {
      timestamp: BigInt(said.at),
      prefix: said.prefix === undefined ? undefined : path(said.prefix),
      update: (said.updates ?? []).map(([text, value]) => ({
        path: path(text),
        val: value === null ? undefined : typeof value === 'number' ? uint(value) : value,
      })),
      delete: (said.deletes ?? []).map(path),
      atomic: said.atomic ?? false,
    },
  });
}

export interface RecordOptions {
  readonly kind: RecordKind;
  readonly device: string;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly offset: bigint;
  readonly receivedAtNs: bigint;
  readonly rpc?: number;
  readonly slot?: number;
  readonly value: Buffer;
}

export function telemetryRecord(options: RecordOptions): LogRecord {
  const { kind, device, epoch, seq, offset, receivedAtNs, rpc = 0, value } = options;
  const position = { slot: options.slot ?? slot, epoch, seq };
  return {
    offset,
    timestampMs: Number(receivedAtNs / 1_000_000n),
    key: Buffer.from(device),
    value,
    header: encodeHeader({ ...position, kind, rpc, receivedAtNs }),
  };
}

/** Writes one slot's telemetry: positions and offsets follow by themselves. */
export class TelemetryLog {
  readonly records: LogRecord[] = [];
  /** Unix ns of the last record's receipt; tests move it on. */
  receivedAtNs = 1_000_000_000n;
  readonly #slot: number;
  #epoch: bigint;
  #seq = 0n;

  constructor(epoch = 100n, ofSlot = slot) {
    this.#epoch = epoch;
    this.#slot = ofSlot;
  }

  say(device: string, said: Said, rpc = 0): this {
    return this.#append('data', device, encodeFrame(messageSchemaId, message(said)), rpc);
  }

  raw(device: string, bytes: Buffer): this {
    return this.#append('data', device, encodeFrame(messageSchemaId, bytes), 0);
  }

  open(
    device: string,
    paths: readonly string[],
    options: { rpc?: number; updatesOnly?: boolean; mode?: 'on-change' | 'sample' } = {},
  ): this {
    const { rpc = 0, updatesOnly = false, mode } = options;
    return this.marker('opened', device, { subscriptions: subscriptions(paths, rpc, updatesOnly, mode) });
  }

  marker(kind: Exclude<RecordKind, 'data'>, device: string, fields: Partial<Marker> = {}, rpc = 0): this {
    const bytes = markerCodec.encode({ ...emptyMarker(kind), device, ...fields });
    return this.#append(kind, device, encodeFrame(markerSchemaId, bytes), rpc);
  }

  /** A new owner: its marker is the first record of its epoch. */
  owner(): this {
    this.#epoch += 1n;
    this.#seq = 0n;
    return this.marker('owner', `slot/${this.#slot}`);
  }

  get last(): { readonly epoch: bigint; readonly seq: bigint } {
    return { epoch: this.#epoch, seq: this.#seq };
  }

  /** Records that never arrived. */
  lose(count: bigint): this {
    this.#seq += count;
    return this;
  }

  #append(kind: RecordKind, device: string, value: Buffer, rpc: number): this {
    this.#seq += 1n;
    this.receivedAtNs += 1_000_000n;
    const { receivedAtNs } = this;
    const offset = BigInt(this.records.length);
    const position = { slot: this.#slot, epoch: this.#epoch, seq: this.#seq };
    this.records.push(telemetryRecord({ kind, device, ...position, offset, receivedAtNs, rpc, value }));
    return this;
  }
}

export function subscriptions(
  paths: readonly string[],
  rpc = 0,
  updatesOnly = false,
  mode: 'on-change' | 'sample' = 'on-change',
): Marker['subscriptions'] {
  return paths.map((text) => ({
    rpc,
    updatesOnly,
    subscription: { path: text, mode, intervalMs: 0, heartbeatMs: 0, suppressRedundant: false },
  }));
}

/** One `state` partition in memory: takes what a writer appends, batch by batch. */
export class StateLog {
  readonly batches: (readonly WriterRecord[])[] = [];
  unackedBytes = 0;

  append(_topic: string, _partition: number, records: readonly WriterRecord[]): { readonly acked: Promise<void> } {
    // As on the wire: what the caller does with its buffers afterwards does not show.
    this.batches.push(records.map((record) => ({ ...record, value: record.value && Buffer.from(record.value) })));
    return { acked: Promise.resolve() };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  progress(): { unacked: boolean; ackedBatches: number } {
    return { unacked: false, ackedBatches: 0 };
  }

  stop(): number {
    return 0;
  }

  /** As a reader gets them; `batches` cuts the log after so many. */
  read(batches = this.batches.length): LogRecord[] {
    return this.batches
      .slice(0, batches)
      .flat()
      .map(({ key, value, header, timestampMs }, index) => ({
        offset: BigInt(index),
        timestampMs,
        key,
        value,
        header,
      }));
  }
}
