import { type OwnershipReason } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';

/** A record as the slot's writer takes it; `header` is the 30-byte `hf`, or null for none. */
export interface WriterRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
  readonly header: Buffer | null;
  readonly timestampMs: number;
}

/** What the lock needs of a slot's fenced writer; the host gets the writer itself. */
export interface SlotWriter {
  /** Takes the slot's producer id: from its first batch on the broker refuses the owner before. */
  start(): Promise<void>;
  append(topic: string, partition: number, records: readonly WriterRecord[]): { readonly acked: Promise<void> };
  /** Whether something waits for an ack, and how many batches were acked so far. */
  progress(): { readonly unacked: boolean; readonly ackedBatches: number };
  /** Sends nothing any more; returns how many records were never sent. */
  stop(): number;
}

/** What a writer asks and tells the lock. */
export interface WriterHooks {
  /** May this slot be published now? Cheap: asked before every produce and every InitProducerId. */
  readonly leaseLive: () => boolean;
  /** The writer was refused and cannot recover: the slot is somebody else's. */
  readonly onFenced: () => void;
  /** Kafka refuses this slot's records for good, as far as this worker can tell. */
  readonly onFatal: () => void;
}

export interface Takeover {
  /** Epoch before this one; 0: none known. */
  readonly fromEpoch: bigint;
  /** Last seq of `fromEpoch`; 0: unknown, its end is a gap to readers. */
  readonly fromSeq: bigint;
  /** Where the owner before wanted its successor to read on (replicator); 0 where nothing was committed. */
  readonly committedOffset: bigint;
  /** Position of the last telemetry record that was applied, as the owner before committed it (replicator). */
  readonly applied: { readonly epoch: bigint; readonly seq: bigint } | null;
  readonly reason: OwnershipReason;
}

/**
 * What ingest and replicator do with a slot. Calls for one slot never overlap, but for `drop`, which may come at any
 * moment after `begin` was called and ends whatever is going on (its `signal` is aborted first).
 */
export interface SlotHost<W extends SlotWriter> {
  /** Claimed, producer id in hand: append the first record (`owner` marker), resolve when it is acked. */
  begin(slot: Slot, writer: W, takeover: Takeover, signal: AbortSignal): Promise<void>;
  /** Marker and `held` are both acked: open sessions, start reading. */
  activate(slot: Slot): void;
  /**
   * Stop reading, close sessions, append `closed` markers; resolves when every batch is acked or refused. Also called
   * for a slot that began and was never activated. `lastSeq` null: unknown.
   */
  release(slot: Slot, reason: 'moved' | 'drain', signal: AbortSignal): Promise<{ readonly lastSeq: bigint | null }>;
  /** Lease or membership lost: destroy sockets before returning, discard; resolves when the last one is gone. */
  drop(slot: Slot): Promise<void>;
}

/**
 * What ingest and replicator do for slots they may have to take over. A slot is *warm* here when taking it would cost
 * no more than the lock's own steps: records at hand, connections prepared.
 */
export interface Standby {
  /** The slots this worker stands by for, whenever the plan changes them; what was prepared for others is let go. */
  prepare(slots: ReadonlySet<Slot>): void;
  isWarm(slot: Slot): boolean;
  /** What holding the slot costs, in any unit that the members share; at least 1. Of a slot held here. */
  weightOf(slot: Slot): number;
}

/** Nothing has to be prepared, and every slot costs the same. */
export const alwaysWarm: Standby = {
  prepare: () => undefined,
  isWarm: () => true,
  weightOf: () => 1,
};
