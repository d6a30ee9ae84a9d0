import { type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Claim } from './claim.ts';
import { type SlotWriter } from './slot-host.ts';

/** One life of a slot in this worker, from `startable` until it is free again: everything that belongs to that life. */
export interface SlotRun<W extends SlotWriter> {
  readonly slot: Slot;
  /** Aborted when the slot is dropped, or its claim is cancelled before the commit. */
  readonly controller: AbortController;
  /** Settles, never rejects, once no OffsetCommit of the claim is unanswered. */
  claiming: Promise<void>;
  /** Settles, never rejects, once `host.begin` has. */
  beginning: Promise<void>;
  /** Offset commits of the running slot that are unanswered. */
  readonly committing: Set<Promise<unknown>>;
  /** A commit of that generation went unanswered: a late copy may still arrive. */
  uncertainGeneration: number | null;
  /** What the coordinator's register says of the slot, as we last wrote it. */
  committedOffset: bigint;
  applied: Claim['applied'];
  /** What `ownership` said of the slot before us. */
  before: SlotOwnership | null;
  writer: W | null;
  /** Batches acked when the writer was last looked at, and since when it is so while something waits (monotonic). */
  ackedBatches: number;
  unackedSinceMs: number | null;
  /** `host.begin` was called: the host has to be told of the end. */
  begun: boolean;
}

export function newSlotRun<W extends SlotWriter>(slot: Slot): SlotRun<W> {
  return {
    slot,
    controller: new AbortController(),
    claiming: Promise.resolve(),
    beginning: Promise.resolve(),
    committing: new Set(),
    uncertainGeneration: null,
    committedOffset: 0n,
    applied: null,
    before: null,
    writer: null,
    ackedBatches: 0,
    unackedSinceMs: null,
    begun: false,
  };
}
