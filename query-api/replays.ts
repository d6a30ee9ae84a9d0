/**
 * Whether, and from where, the changes behind a position can be read again.
 *
 * Y1. Only what certainly was not compacted is offered: the log before the place to read on from must be younger than the
 *     topic's min.compaction.lag.ms, less a margin for clocks that differ.
 */
import { type Clock } from '../core/clock.ts';
import { comparePositions, formatPosition, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type NameSource } from './leaf-change.ts';
import { type PositionIndex } from './position-index.ts';
import { type ReplayLog, SlotReplay } from './slot-replay.ts';
import { type Covers, type ReplayStart } from './state-feed.ts';

/** How far a slot's copy is, when it has been read to its end. */
export interface SlotPlace {
  /** Another object once the slot was reset. */
  readonly index: PositionIndex;
  readonly complete: Position;
  /** First offset not applied. */
  readonly nextOffset: bigint;
}

export interface ReplaysOptions {
  /** Null: not read to its end. */
  readonly place: (slot: Slot) => SlotPlace | null;
  readonly names: NameSource;
  readonly log: ReplayLog;
  /** min.compaction.lag.ms of `state`; null: not known, so nothing is certain (Y1). */
  readonly windowMs: () => number | null;
  readonly clock: Clock;
}

/** Our clock and the broker's may differ by this much; of a short window, by a tenth. */
const marginMsMax = 15_000;

export class Replays {
  readonly #options: ReplaysOptions;

  constructor(options: ReplaysOptions) {
    this.#options = options;
  }

  /** See `StateFeed`. */
  start(after: Position, covers: Covers = () => true): ReplayStart {
    const { place, names, log, clock } = this.#options;
    const { slot } = after;
    const found = place(slot);
    if (found === null) return { kind: 'ahead' };
    const { index } = found;
    const where = formatPosition(after);
    if (!index.mayHaveHad(after)) {
      return { kind: 'unknown', detail: `${where} is no position of this log: it went on to a higher epoch before` };
    }
    if (comparePositions(after, found.complete) > 0) return { kind: 'ahead' };
    if (this.#options.windowMs() === null) {
      return { kind: 'expired', detail: 'how long the log keeps every value is not known to this instance' };
    }
    const from = index.find(after);
    const reachMs = (): number => this.#reachMs();
    if (from === null || from.logTimeMs <= clock.nowMs() - reachMs()) {
      const seconds = Math.round(reachMs() / 1000);
      return {
        kind: 'expired',
        detail: `${where} is further back than the ${seconds} s that the log keeps every value`,
      };
    }
    const copiedTo = (): bigint | null => {
      const now = place(slot);
      return now?.index === index ? now.nextOffset : null;
    };
    return { kind: 'replay', replay: new SlotReplay({ after, from, log, names, covers, copiedTo, reachMs, clock }) };
  }

  /** Y1. */
  #reachMs(): number {
    const windowMs = this.#options.windowMs() ?? 0; // once known it stays so
    return windowMs - Math.min(marginMsMax, windowMs / 10);
  }
}
