import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type NumberedRecord } from '../core/kafka/fenced-writer.ts';
import { type WriterRecord } from '../core/kafka/slot-host.ts';
import { encodeHeader, type RecordKind } from '../schemas/position.ts';
import { emptyMarker, type Marker, markerCodec } from '../schemas/marker.ts';
import { type DeviceStatus, deviceStatusCodec } from '../schemas/status.ts';
import { type Slot } from '../schemas/slot.ts';
import { slotKey } from '../schemas/topics.ts';

/**
 * What ingest says into the log about one slot, in one epoch: data as received, markers, status. The fenced writer below
 * gives every telemetry record its position; what a session adds is the key, the frame prefix and the kind.
 *
 * W1. A device's key is interned once per holding, and a message's bytes are handed on as they came.
 * W2. A status record carries the position of the last telemetry record before it.
 * W3. Once the slot is lost, for whatever reason, the log takes nothing more; that is no error of a session, which is about
 *     to be dropped.
 * W4. What is not a session's own data is counted as well (C4 of session-credit.ts).
 */
export interface AckListener {
  acked(bytes: number): void;
}

/** Settles with the ack of what was appended; nobody has to listen. */
export interface Ticket {
  readonly acked: Promise<void>;
}

/** Counts the bytes of markers and status records that are on their way. */
export interface OwnBytes extends AckListener {
  appended(bytes: number): void;
}

const uncounted: OwnBytes = { appended: () => undefined, acked: () => undefined };

/** The part of the fenced writer that ingest uses. */
export interface SlotLog {
  readonly epoch: bigint;
  readonly lastSeq: bigint;
  readonly unackedBytes: number;
  appendNumbered(topic: string, record: NumberedRecord, listener?: AckListener): Ticket;
  append(topic: string, partition: number, records: readonly WriterRecord[], listener?: AckListener): Ticket;
  flushed(): Promise<void>;
}

/** Topics, frame prefixes and identity: the same for every slot of a process. */
export interface SlotWriterContext {
  readonly topics: { readonly telemetry: string; readonly status: string };
  readonly prefixes: { readonly data: Buffer; readonly marker: Buffer; readonly status: Buffer };
  readonly instance: string;
  readonly incarnation: string;
  readonly clock: Clock;
  /** Counts markers; the label is the kind. */
  readonly onMarker: (kind: RecordKind) => void;
}

export type MarkerKind = Exclude<RecordKind, 'data'>;
export type MarkerFields = Partial<Omit<Marker, 'kind' | 'device' | 'instance' | 'incarnation'>>;

/** A marker's bytes without its frame. */
export function encodeMarker(kind: MarkerKind, fields: Partial<Omit<Marker, 'kind'>>): Buffer {
  return markerCodec.encode({ ...emptyMarker(kind), ...fields });
}

export class SlotWriter {
  readonly slot: Slot;
  readonly #log: SlotLog;
  readonly #context: SlotWriterContext;
  readonly #ownBytes: OwnBytes;

  constructor(slot: Slot, log: SlotLog, context: SlotWriterContext, ownBytes: OwnBytes = uncounted) {
    this.slot = slot;
    this.#log = log;
    this.#context = context;
    this.#ownBytes = ownBytes;
  }

  get lastSeq(): bigint {
    return this.#log.lastSeq;
  }

  get epoch(): bigint {
    return this.#log.epoch;
  }

  /** The first record of the epoch; resolves when it is acked, which fences every earlier owner. */
  owner(fields: MarkerFields): Promise<void> {
    return this.#marker(Buffer.from(slotKey(this.slot)), '', 'owner', fields).acked;
  }

  device(name: string): DeviceLog {
    const key = Buffer.from(name); // W1
    const { prefixes, topics } = this.#context;
    const log = this.#log;
    return {
      data: (rpc, bytes, receivedAtNs, listener) => {
        try {
          log.appendNumbered(
            topics.telemetry,
            { key, prefix: prefixes.data, value: bytes, kind: 'data', rpc, receivedAtNs },
            listener,
          );
        } catch (thrown) {
          unlessLost(thrown);
        }
      },
      marker: (kind, fields) => {
        try {
          return this.#marker(key, name, kind, fields);
        } catch (thrown) {
          unlessLost(thrown);
          return null;
        }
      },
      status: (status) => this.#status(key, status),
    };
  }

  flushed(): Promise<void> {
    return this.#log.flushed();
  }

  #marker(key: Buffer, device: string, kind: MarkerKind, fields: MarkerFields): Ticket {
    const { prefixes, topics, clock, instance, incarnation } = this.#context;
    const value = encodeMarker(kind, { ...fields, device, instance, incarnation });
    const record = { key, prefix: prefixes.marker, value, kind, rpc: 0, receivedAtNs: clock.nowNs() };
    const ticket = this.#log.appendNumbered(topics.telemetry, record, this.#ownBytes);
    this.#ownBytes.appended(value.length);
    this.#context.onMarker(kind);
    return ticket;
  }

  #status(key: Buffer, status: DeviceStatus | null): void {
    const { prefixes, topics, clock } = this.#context;
    const receivedAtNs = clock.nowNs();
    const value = status === null ? null : Buffer.concat([prefixes.status, deviceStatusCodec.encode(status)]);
    const header = encodeHeader({
      slot: this.slot,
      epoch: this.#log.epoch,
      seq: this.#log.lastSeq, // W2
      kind: 'data',
      rpc: 0,
      receivedAtNs,
    });
    const timestampMs = Number(receivedAtNs / 1_000_000n);
    try {
      this.#log.append(topics.status, this.slot, [{ key, value, header, timestampMs }], this.#ownBytes);
      this.#ownBytes.appended(value?.length ?? 0);
    } catch (thrown) {
      unlessLost(thrown);
    }
  }
}

/** W3 */
function unlessLost(thrown: unknown): void {
  if (!(thrown instanceof HoldfastError)) throw thrown; // the writer's own: fenced, lease lost, refused by an ACL
}

/** One device's voice in the log of its slot. */
export interface DeviceLog {
  /** `listener` hears of the acks of exactly these bytes' records. */
  data(rpc: number, bytes: Buffer, receivedAtNs: bigint, listener: AckListener): void;
  /** `null`: the slot is lost. */
  marker(kind: Exclude<MarkerKind, 'owner'>, fields: MarkerFields): Ticket | null;
  /** `null`: the device is gone. */
  status(status: DeviceStatus | null): void;
}
