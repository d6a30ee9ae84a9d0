import { systemClock } from '../../core/clock.ts';
import { type Slot } from '../../schemas/slot.ts';

/** What a host appended in one epoch of a slot, and what became of it. Epochs and seqs are text, for JSON. */
export interface EpochWitness {
  readonly slot: Slot;
  readonly epoch: string;
  /** Seq of the last record appended, and of the last one acked; '0': none. */
  readonly appendedSeq: string;
  readonly ackedSeq: string;
  /** Wall clock. */
  readonly appendedAtMs: number;
  readonly ackedAtMs: number;
  /** The longest time between two acks. */
  readonly silenceMsMax: number;
}

export interface WitnessStats {
  readonly event: 'stats';
  readonly instanceId: string;
  readonly epochs: readonly EpochWitness[];
  /** Of each batch that the broker refused because of a newer owner: when it was put into its request, by the wall clock. */
  readonly refusedTakenAtMs: readonly number[];
  readonly retriedBatches: number;
  readonly reinits: number;
  readonly fenced: number;
}

/** Keeps what a host appended, per slot and epoch: the other half of an audit of the log. */
export class Witness {
  readonly #epochs = new Map<string, { -readonly [K in keyof EpochWitness]: EpochWitness[K] }>();

  appended(slot: Slot, epoch: bigint, seq: bigint, acked: Promise<void>): void {
    const key = `${slot} ${epoch}`;
    const nowMs = systemClock.nowMs();
    const entry = this.#epochs.get(key) ?? {
      slot,
      epoch: String(epoch),
      appendedSeq: '0',
      ackedSeq: '0',
      appendedAtMs: nowMs,
      ackedAtMs: 0,
      silenceMsMax: 0,
    };
    this.#epochs.set(key, entry);
    entry.appendedSeq = String(seq);
    entry.appendedAtMs = nowMs;
    acked.then(
      () => {
        if (seq <= BigInt(entry.ackedSeq)) return;
        entry.ackedSeq = String(seq);
        const ackedAtMs = systemClock.nowMs();
        if (entry.ackedAtMs > 0) entry.silenceMsMax = Math.max(entry.silenceMsMax, ackedAtMs - entry.ackedAtMs);
        entry.ackedAtMs = ackedAtMs;
      },
      () => undefined, // the writer's end is told by events
    );
  }

  get epochs(): EpochWitness[] {
    return [...this.#epochs.values()].map((entry) => ({ ...entry }));
  }
}
