import { decodeFrame } from '../schemas/frame.ts';
import { type Marker, markerCodec } from '../schemas/marker.ts';
import { type DeviceMessage, decodeDeviceMessage, MessageMalformed } from '../schemas/notification.ts';
import {
  comparePositions,
  decodeHeader,
  type Position,
  type RecordHeader,
  RecordMalformed,
} from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { type ApplyContext, applyNotification, applyRemoval, applySync, observe, type RecordPoint } from './apply.ts';
import { type LeafEntry } from './device-leaves.ts';
import { type DeviceFacts, explode } from './explode.ts';
import { type DeviceState, type SlotTable } from './slot-table.ts';
import { createTally, type Tally } from './tally.ts';

/**
 * One slot's `telemetry`, record by record, into changes of its leaves. Pure but for its own memory: no I/O, no clock.
 *
 * R1. Positions decide what counts, as in every reader: a lower epoch and a repeated seq are dropped; a hole in seq, or an
 *     epoch that does not begin at 1, is a gap and is counted.
 * R2. `state` is complete up to the restored position, so records *before* it change nothing; they are read for what
 *     `state` does not hold: seen marks, unfinished resyncs, delete times.
 * R3. The record *at* the restored position is applied again: a crash may have cut its changes, and applying them twice
 *     changes nothing.
 * R4. A record that cannot be read never ends the reader. It is counted, and a resync it fell into sweeps nothing. One that
 *     our own code fails on is skipped as well, and said by `onDefect`: else it would stop its slot for ever, restart by restart.
 */
export interface SlotReducerOptions {
  readonly slot: Slot;
  readonly table: SlotTable;
  /** What the configuration says of a device. */
  readonly facts: (device: string) => DeviceFacts;
  readonly tally: Tally;
  readonly futureLimitNs: bigint | null;
  /** Highest position found in `state`; null: it was empty. */
  readonly restored: Position | null;
  /** False: resyncs remove nothing. For control runs of tests, which must then fail. */
  readonly sweeps?: boolean;
  /** A bug of ours: the record at this point was skipped, perhaps half applied. */
  readonly onDefect?: (point: RecordPoint, device: string, thrown: unknown) => void;
}

export interface Applied {
  readonly point: RecordPoint;
  /** Each entry once; null values are tombstones. */
  readonly changed: readonly LeafEntry[];
}

export interface RecordTally {
  applied: number;
  /** R2. */
  replayed: number;
  oldEpoch: number;
  repeated: number;
  malformed: number;
  /** Holes in the positions, and how many records are known to be missing in them. */
  gaps: number;
  missing: bigint;
}

const nothing: readonly LeafEntry[] = [];

export class SlotReducer {
  readonly records: RecordTally = {
    applied: 0,
    replayed: 0,
    oldEpoch: 0,
    repeated: 0,
    malformed: 0,
    gaps: 0,
    missing: 0n,
  };
  readonly #options: SlotReducerOptions;
  /** What replayed records would count was counted when they were applied. */
  readonly #unheard = createTally();
  #last: Position | null = null;
  #lastReceivedAtNs = 0n;
  #ordinal = 0;

  constructor(options: SlotReducerOptions) {
    this.#options = options;
  }

  /** Up to here `state` is complete once the changes handed out are written; null: nothing is known. */
  get complete(): Position | null {
    const { restored } = this.#options;
    if (this.#last === null || (restored !== null && comparePositions(restored, this.#last) > 0)) return restored;
    return this.#last;
  }

  /** When the last record had arrived at ingest; 0 before the first. */
  get lastReceivedAtNs(): bigint {
    return this.#lastReceivedAtNs;
  }

  /** First offset that the next holder needs, where that is before what was applied. */
  neededFrom(): bigint | null {
    return this.#options.table.neededFrom(this.#lastReceivedAtNs);
  }

  /** Null: the record does not count (R1, R4). */
  apply(record: LogRecord): Applied | null {
    const header = this.#header(record);
    if (header === null || !this.#follow(header)) return null;
    this.#ordinal += 1;
    this.#lastReceivedAtNs = header.receivedAtNs;
    const { kind, rpc, epoch, seq, receivedAtNs } = header;
    const point: RecordPoint = { kind, rpc, epoch, seq, receivedAtNs, offset: record.offset, ordinal: this.#ordinal };
    const { restored } = this.#options;
    const isReplay = restored !== null && comparePositions(header, restored) < 0; // R2, R3
    if (isReplay) this.records.replayed += 1;
    else this.records.applied += 1;
    if (kind === 'owner') return { point, changed: nothing };
    const name = record.key?.toString('utf8') ?? '';
    if (name === '') {
      this.records.malformed += 1;
      return { point, changed: nothing };
    }
    const device = this.#options.table.device(name);
    try {
      const { message } = decodeFrame(record.value ?? empty);
      const changed =
        kind === 'data'
          ? this.#data(device, decodeDeviceMessage(message), point, isReplay)
          : this.#marker(device, markerCodec.decode(message), point, isReplay);
      return { point, changed };
    } catch (thrown) {
      this.records.malformed += 1;
      device.session.holed(); // R4
      const isTheirs = thrown instanceof MessageMalformed || thrown instanceof RecordMalformed;
      if (!isTheirs) this.#options.onDefect?.(point, name, thrown);
      return { point, changed: nothing };
    }
  }

  #header(record: LogRecord): RecordHeader | null {
    try {
      const header = decodeHeader(record.header ?? empty);
      if (header.slot === this.#options.slot) return header;
    } catch (thrown) {
      if (!(thrown instanceof RecordMalformed)) throw thrown;
    }
    this.records.malformed += 1;
    return null;
  }

  /** R1. A higher epoch ends every session of the lower ones: a killed owner writes no `closed`. */
  #follow(header: RecordHeader): boolean {
    const last = this.#last;
    if (last !== null && header.epoch < last.epoch) {
      this.records.oldEpoch += 1;
      return false;
    }
    if (last !== null && header.epoch === last.epoch && header.seq <= last.seq) {
      this.records.repeated += 1;
      return false;
    }
    // Who starts in mid-log knows the position before from `state`, unless it starts before that.
    const before = last ?? this.#options.restored;
    const isSame = before !== null && header.epoch === before.epoch;
    const missing = isSame ? header.seq - before.seq - 1n : header.seq - 1n;
    const isKnown = last !== null || (before !== null && comparePositions(header, before) > 0);
    if (last !== null && header.epoch > last.epoch) this.#options.table.endSessions();
    if (isKnown && missing > 0n) {
      this.records.gaps += 1;
      this.records.missing += missing;
      this.#options.table.holed();
    }
    const { slot, epoch, seq } = header;
    this.#last = { slot, epoch, seq };
    return true;
  }

  #data(device: DeviceState, message: DeviceMessage, point: RecordPoint, isReplay: boolean): readonly LeafEntry[] {
    const tally = isReplay ? this.#unheard : this.#options.tally;
    switch (message.kind) {
      case 'update': {
        const facts = this.#options.facts(device.leaves.device);
        const said = explode(message.notification, facts, tally);
        const context: ApplyContext = { facts, tally, futureLimitNs: this.#options.futureLimitNs };
        if (!isReplay) return applyNotification(device, said, point, context);
        observe(device, said, point, context);
        return nothing;
      }
      case 'error':
        tally.odd['device-error'] += 1; // T20
        return nothing;
      case 'empty':
      case 'sync': // the `synced` marker says it, with its RPC
        return nothing;
    }
  }

  #marker(device: DeviceState, marker: Marker, point: RecordPoint, isReplay: boolean): readonly LeafEntry[] {
    const { table, tally } = this.#options;
    switch (point.kind) {
      case 'opened':
        device.session.opened(marker, point);
        return nothing;
      case 'synced': {
        const watches = device.session.synced(point.rpc);
        return isReplay || this.#options.sweeps === false ? nothing : applySync(device, watches, tally);
      }
      case 'closed': {
        device.session.closed();
        if (marker.reason !== 'removed') return nothing;
        table.restart(device);
        if (isReplay) return nothing;
        table.forget(device.leaves.device);
        return applyRemoval(device, tally);
      }
      case 'gap':
        device.session.holed();
        return nothing;
      case 'data':
      case 'owner':
        return nothing;
    }
  }
}

const empty = Buffer.alloc(0);
