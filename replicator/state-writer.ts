import { leafCodec } from '../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../schemas/marker.ts';
import { encodeHeader, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { slotMarkerKey } from '../schemas/topics.ts';
import { raceAbort } from '../core/abort.ts';
import { type SlotWriter, type WriterRecord } from '../core/kafka/slot-host.ts';
import { type RecordPoint } from './apply.ts';
import { type Cause, ConflationWindow, type LeafChange } from './conflation.ts';
import { type LeafEntry } from './device-leaves.ts';
import { type HealRecord } from './restore.ts';

/**
 * Changes of a slot's leaves as records of its `state` partition, through the slot's fenced writer.
 *
 * W1. All records that one telemetry record causes go into one batch under its position: a reader sees all or none (A12).
 *     Only a group beyond `groupBytesMax` is cut, and every part but the last says that more follows; the restored position
 *     is applied again, so nothing is lost by that.
 * W2. Records are appended in the order of telemetry, so a record in `state` proves that those before it are there.
 * W3. `unackedBytesMax` bounds what is on its way: `room` is awaited before reading on. What is collected meanwhile may go
 *     beyond it by one window.
 * W4. What was collected under pressure (conflation.ts) is appended before anything else is, markers included: a position
 *     is never said to be complete before its changes are on their way.
 */
export interface StatePort extends SlotWriter {
  /** Bytes accepted and not yet acked. */
  readonly unackedBytes: number;
}

export interface StateWriterOptions {
  readonly slot: Slot;
  /** Full name of `state`. */
  readonly topic: string;
  readonly port: StatePort;
  /** Frames of holdfast.v1.Leaf and holdfast.v1.Marker in this topic. */
  readonly leafPrefix: Buffer;
  readonly markerPrefix: Buffer;
  readonly groupBytesMax: number;
  readonly unackedBytesMax: number;
  /** How much of telemetry, by receive time, is conflated at once under pressure; 0: none. */
  readonly conflateWindowNs: bigint;
  readonly instance: string;
  readonly incarnation: string;
}

/** Said at takeover, when nobody knows yet how far behind `state` is: a day, more than any reader takes for fresh. */
export const unknownLagMs = 86_400_000;

/** Header, varints and the like of one record in a batch, generously. */
const recordOverheadBytes = 64;
const markerKey = Buffer.from(slotMarkerKey);
/** One window is one batch: enough to merge in, small beside what a slot may have on its way. */
const windowBytesMax = 262_144;
/** Values that were replaced count: the list of a window is walked once more at its end. */
const windowChangesMax = 8_192;

export class StateWriter {
  readonly #options: StateWriterOptions;
  /** Promises of batches that are not acked yet, oldest first. */
  readonly #unacked: Promise<void>[] = [];
  readonly #window: ConflationWindow;
  #appended: Promise<void> = Promise.resolve();
  /** A window was appended although there was no room (W3). */
  #isOverfull = false;

  constructor(options: StateWriterOptions) {
    this.#options = options;
    this.#window = new ConflationWindow({
      windowNs: options.conflateWindowNs,
      changesMax: windowChangesMax,
      bytesMax: Math.min(windowBytesMax, options.groupBytesMax),
      encode: (cause, change) => this.#recordOf(cause, change),
    });
  }

  get isFull(): boolean {
    return this.#options.port.unackedBytes > this.#options.unackedBytesMax;
  }

  /** `room` is to be awaited now: there is none, and nothing to collect in meanwhile. */
  get mustWait(): boolean {
    return this.isFull && (this.#window.isEmpty || this.#isOverfull);
  }

  /** One telemetry record's changes (W1). */
  write(point: RecordPoint, changed: readonly LeafEntry[], device: string): void {
    if (changed.length === 0) return;
    this.settle();
    const { slot, groupBytesMax } = this.#options;
    const cause = this.#causeOf(point, device);
    let group: WriterRecord[] = [];
    let bytes = 0;
    for (const entry of changed) {
      const record = this.#recordOf(cause, entry);
      const size = record.key.length + (record.value?.length ?? 0) + recordOverheadBytes;
      if (group.length > 0 && bytes + size > groupBytesMax) {
        const cut = encodeHeader({ ...point, slot, more: true });
        this.#append(group.map((one) => ({ ...one, header: cut })));
        group = [];
        bytes = 0;
      }
      group.push(record);
      bytes += size;
    }
    this.#append(group);
  }

  /**
   * Under pressure: one telemetry record's changes join the window, which is appended first if it does not take them.
   * Returns how many values of earlier records are left out for it.
   */
  collect(point: RecordPoint, changed: readonly LeafEntry[], device: string): number {
    if (changed.length === 0) return 0;
    if (!this.#window.takes(point, changed)) this.settle();
    if (this.#window.takes(point, changed)) return this.#window.add(point, changed, this.#causeOf(point, device));
    this.write(point, changed, device);
    return 0;
  }

  /** Appends what was collected (W4). */
  settle(): void {
    if (this.#window.isEmpty) return;
    this.#isOverfull = this.isFull;
    this.#append(this.#window.seal());
  }

  /** Writes what a displaced writer's late record had buried once more, under its own position. */
  heal(records: readonly HealRecord[]): void {
    this.settle();
    for (const { key, value, header } of records) {
      const timestampMs = Number(header.receivedAtNs / 1_000_000n);
      this.#append([{ key, value, header: encodeHeader(header), timestampMs }]);
    }
  }

  /** Says that `state` is complete up to the position, `lagMs` behind `telemetry`. */
  mark(position: Position | null, at: { reason: string; lagMs: number; nowNs: bigint }): void {
    const { slot, instance, incarnation, markerPrefix } = this.#options;
    const { epoch, seq } = position ?? { epoch: 0n, seq: 0n };
    const { reason, lagMs, nowNs } = at;
    this.settle();
    const marker = markerCodec.encode({ ...emptyMarker('owner'), reason, instance, incarnation, lagMs });
    this.#append([
      {
        key: markerKey,
        value: Buffer.concat([markerPrefix, marker]),
        header: encodeHeader({ kind: 'owner', slot, rpc: 0, epoch, seq, receivedAtNs: nowNs }),
        timestampMs: Number(nowNs / 1_000_000n),
      },
    ]);
  }

  /** Waits until what is on its way is within its bound (W3). Rejects when the slot is lost, or with the signal's reason. */
  async room(signal: AbortSignal): Promise<void> {
    this.#isOverfull = false;
    while (this.isFull) {
      const oldest = this.#unacked[0];
      if (oldest === undefined) return;
      await raceAbort(oldest, signal);
    }
  }

  /** Resolves when everything written and collected so far is acked; rejects as `room` does. */
  async flushed(signal: AbortSignal): Promise<void> {
    this.settle();
    return raceAbort(this.#appended, signal);
  }

  #append(records: readonly WriterRecord[]): void {
    const { acked } = this.#options.port.append(this.#options.topic, this.#options.slot, records);
    if (acked === this.#appended) return; // the same batch again
    this.#appended = acked;
    this.#unacked.push(acked);
    // In order, so the oldest is the one that is done. A refusal reaches whoever waits; the lock handles it.
    acked.then(
      () => this.#unacked.shift(),
      () => undefined,
    );
  }

  #causeOf(point: RecordPoint, device: string): Cause {
    const header = encodeHeader({ ...point, slot: this.#options.slot });
    return { device, header, timestampMs: Number(point.receivedAtNs / 1_000_000n) };
  }

  #recordOf({ device, header, timestampMs }: Cause, change: LeafChange): WriterRecord {
    const { key, origin, path, value, timestampNs, atomicRoot, sampled } = change;
    if (value === null) return { key, value, header, timestampMs };
    const leaf = leafCodec.encode({ device, origin, path, value, timestampNs, atomicRoot, sampled });
    return { key, value: Buffer.concat([this.#options.leafPrefix, leaf]), header, timestampMs };
  }
}
