/** State in memory whose log can be read again: what a replica's index over a real log does, without the log. */
import {
  type Covers,
  type LeafChange,
  type Replay,
  type ReplayBatch,
  type ReplayStart,
} from '../../query-api/state-feed.ts';
import { comparePositions, type Position } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { MemoryState } from './memory-state.ts';

export class ReplayingState extends MemoryState {
  readonly told = new Map<Slot, LeafChange[]>();
  /** Changes of a batch; a position stays whole. */
  batchChanges = 5;
  /** What kept the log from being read, if anything. */
  failure: Error | null = null;
  readonly #through = new Map<Slot, Position>();
  readonly #trimmed = new Map<Slot, Position>();

  constructor(options: ConstructorParameters<typeof MemoryState>[0]) {
    super(options);
    this.listen({
      onChanges: (slot, changes, through) => {
        this.told.set(slot, [...(this.told.get(slot) ?? []), ...changes]);
        this.#through.set(slot, through);
      },
      onReset: (slot) => this.told.delete(slot),
    });
  }

  /** The log holds nothing of the slot up to its present end any more. */
  trim(slot: Slot): void {
    const through = this.#through.get(slot);
    if (through !== undefined) this.#trimmed.set(slot, through);
  }

  /** By the index and the reader of the product, in place of the small batches of here. */
  readsRealLog = false;

  override replay(after: Position, covers?: Covers): ReplayStart {
    if (this.readsRealLog) return super.replay(after, covers);
    const { slot } = after;
    const through = this.#through.get(slot);
    if (after.epoch > this.epoch) return { kind: 'unknown', detail: 'no such epoch' };
    if (through !== undefined && comparePositions(after, through) > 0) return { kind: 'ahead' };
    const trimmed = this.#trimmed.get(slot);
    if (trimmed !== undefined && comparePositions(after, trimmed) < 0) return { kind: 'expired', detail: 'trimmed' };
    return { kind: 'replay', replay: this.#replayOf(slot, after) };
  }

  #replayOf(slot: Slot, after: Position): Replay {
    const log = (): LeafChange[] => this.told.get(slot) ?? [];
    let at = log().findIndex((change) => comparePositions(change, after) > 0);
    if (at < 0) at = log().length;
    const batch = (): ReplayBatch | null => {
      const changes: LeafChange[] = [];
      for (let next = log()[at]; next !== undefined; next = log()[at]) {
        const last = changes.at(-1);
        if (last !== undefined && changes.length >= this.batchChanges && comparePositions(last, next) !== 0) break;
        changes.push(next);
        at += 1;
      }
      const last = changes.at(-1);
      return last === undefined ? null : { changes, through: { slot, epoch: last.epoch, seq: last.seq } };
    };
    return {
      next: async (signal, onLive) => {
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
        if (this.failure !== null) throw this.failure;
        const next = batch();
        if (next === null) onLive();
        return next;
      },
    };
  }
}
