/**
 * The topic `state` in memory, with the real copy that reads it: records are written as the replicator writes them, and
 * applied at once. What a real log adds is tested in test/integration.
 */
import { type Clock } from '../../core/clock.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { type QueryApiMetrics } from '../../query-api/metrics.ts';
import { type StateView } from '../../query-api/replica.ts';
import { Replays } from '../../query-api/replays.ts';
import { StateCopy } from '../../query-api/state-copy.ts';
import { type Covers, type ReplayStart, type StateFeed } from '../../query-api/state-feed.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { type Leaf, leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { encodeHeader, type Position } from '../../schemas/position.ts';
import { type Slot, slotOf } from '../../schemas/slot.ts';
import { leafKey, slotMarkerKey } from '../../schemas/topics.ts';

/** What a record of a leaf says; null value: its tombstone. */
export type LeafSaid = Pick<Leaf, 'device' | 'origin' | 'path'> & Partial<Leaf>;

export class MemoryState extends StateCopy implements StateView, StateFeed {
  readonly feed: StateFeed = this;
  logTag: string | null = 'AAAAAA';
  readonly epoch: bigint;
  readonly #clock: Clock;
  readonly #slots: number;
  readonly #log: { readonly slot: Slot; readonly records: readonly LogRecord[]; readonly nextOffset: bigint }[] = [];
  readonly #replays: Replays;
  #nextOffset = 0n;

  constructor(options: { clock: Clock; slots: number; epoch: bigint; metrics: QueryApiMetrics }) {
    super({ ...options, resumeWindowMs: 600_000, logger: silentLogger });
    this.epoch = options.epoch;
    this.#clock = options.clock;
    this.#slots = options.slots;
    this.#replays = new Replays({
      place: (slot) => this.place(slot),
      names: this.store,
      log: { read: (slot, from) => this.#read(slot, from) },
      windowMs: () => 600_000,
      clock: options.clock,
    });
  }

  /** Every slot read to its end, with a live marker. */
  load(): void {
    for (let slot = 0; slot < this.#slots; slot += 1) {
      this.loaded(slot);
      this.mark(slot, 1n);
    }
  }

  mark(slot: Slot, seq: bigint, lagMs = 0): void {
    const value = encodeFrame(8, markerCodec.encode({ ...emptyMarker('owner'), lagMs }));
    const header = encodeHeader({ ...this.#at(slot, seq), kind: 'owner' });
    this.append(slot, [{ key: slotMarkerKey, value, header }]);
  }

  /** What one telemetry record changed, as one batch: leaves that were set, and those that are gone. */
  write(seq: bigint, set: readonly LeafSaid[], gone: readonly Pick<Leaf, 'device' | 'origin' | 'path'>[] = []): void {
    const device = (set[0] ?? gone[0])?.device ?? '';
    const slot = slotOf(device, this.#slots);
    const header = encodeHeader(this.#at(slot, seq));
    const defaults = { timestampNs: this.#clock.nowNs(), atomicRoot: '', sampled: false, value: Buffer.alloc(0) };
    this.append(slot, [
      ...gone.map((leaf) => ({ key: leafKey(leaf.device, leaf.origin, leaf.path), value: null, header })),
      ...set.map((leaf) => ({
        key: leafKey(leaf.device, leaf.origin, leaf.path),
        value: encodeFrame(7, leafCodec.encode({ ...defaults, ...leaf })),
        header,
      })),
    ]);
  }

  append(slot: Slot, said: readonly { key: string; value: Buffer | null; header: Buffer }[]): void {
    const records = said.map(({ key, value, header }): LogRecord => {
      const offset = this.#nextOffset++;
      return { offset, timestampMs: this.#clock.nowMs(), key: Buffer.from(key), value, header };
    });
    this.#log.push({ slot, records, nextOffset: this.#nextOffset });
    this.apply({ partition: slot, records, nextOffset: this.#nextOffset, highWatermark: this.#nextOffset });
  }

  replay(after: Position, covers?: Covers): ReplayStart {
    return this.#replays.start(after, covers);
  }

  /** One batch at a time. */
  async #read(slot: Slot, from: bigint) {
    const found = this.#log.find((batch) => batch.slot === slot && batch.nextOffset > from);
    if (found === undefined) throw new Error(`slot ${slot} ends before ${from}`);
    return found;
  }

  #at(slot: Slot, seq: bigint) {
    return { kind: 'data', slot, rpc: 0, epoch: this.epoch, seq, receivedAtNs: this.#clock.nowNs() } as const;
  }
}
