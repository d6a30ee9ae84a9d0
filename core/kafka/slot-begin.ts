import { type SlotOwnership } from '../../schemas/ownership.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { raceAbort } from '../abort.ts';
import { type SlotDriverOptions } from './slot-driver.ts';
import { type SlotWriter, type Takeover } from './slot-host.ts';
import { type SlotRun } from './slot-run.ts';
import { type SlotEvent } from './slot-state.ts';
import { reasonOf } from './plan.ts';

/**
 * From the claimed epoch to the first record: producer id, then the host's `owner` marker and our `held`, both acked.
 * From the first batch on the broker refuses the owner before; no session is open until then (SL2).
 */
export class SlotBegin<W extends SlotWriter> {
  readonly #options: SlotDriverOptions<W>;
  readonly #report: (run: SlotRun<W>, event: SlotEvent) => void;

  constructor(options: SlotDriverOptions<W>, report: (run: SlotRun<W>, event: SlotEvent) => void) {
    this.#options = options;
    this.#report = report;
  }

  /** Ends in `acquired`, `producer-fenced` or `stuck`; in none of them when the run was dropped. Never rejects. */
  async run(run: SlotRun<W>, epoch: bigint, reason: number): Promise<void> {
    const { slot, controller } = run;
    const { signal } = controller;
    try {
      await this.#begin(run, epoch, reason);
      if (!signal.aborted) this.#report(run, { kind: 'acquired' });
    } catch (thrown) {
      if (signal.aborted) return;
      const fenced = thrown instanceof HoldfastError && (thrown.code === 'FENCED' || thrown.code === 'LEASE_LOST');
      this.#options.logger.warn({ slot, epoch, cause: messageOf(thrown) }, 'slot begin failed');
      this.#report(run, { kind: fenced ? 'producer-fenced' : 'stuck' });
    }
  }

  async #begin(run: SlotRun<W>, epoch: bigint, reason: number): Promise<void> {
    const { host, worker, createWriter } = this.#options;
    const { slot, controller, before } = run;
    const { signal } = controller;
    const writer = createWriter(slot, epoch, {
      leaseLive: () => !signal.aborted && worker.leaseLive(),
      onFenced: () => this.#report(run, { kind: 'producer-fenced' }),
      onFatal: () => this.#report(run, { kind: 'stuck' }),
    });
    run.writer = writer;
    await raceAbort(writer.start(), signal);
    const takeover: Takeover = {
      fromEpoch: before?.epoch ?? 0n,
      fromSeq: before?.state === 'released' ? before.lastSeq : 0n,
      committedOffset: run.committedOffset,
      applied: run.applied,
      reason: reasonOf(reason),
    };
    run.begun = true;
    const marked = host.begin(slot, writer, takeover, signal);
    await raceAbort(Promise.all([marked, this.#writeHeld(run, writer, epoch, takeover)]), signal);
  }

  async #writeHeld(run: SlotRun<W>, writer: W, epoch: bigint, takeover: Takeover): Promise<void> {
    const { log, worker, clock } = this.#options;
    const { fromEpoch, fromSeq, reason } = takeover;
    const { topic, record } = log.recordOf({
      slot: run.slot,
      holder: worker.self(),
      state: 'held',
      epoch,
      lastSeq: 0n,
      sinceNs: clock.nowNs(),
      reason,
      fromEpoch,
      fromSeq,
    });
    await writer.append(topic, 0, [record]).acked;
  }

  /** The heal rule's: best effort, the writer's own trouble is told elsewhere. */
  async rewriteHeld(writer: W, best: SlotOwnership): Promise<void> {
    try {
      const { topic, record } = this.#options.log.recordOf(best);
      await writer.append(topic, 0, [record]).acked;
    } catch (thrown) {
      this.#options.logger.warn({ slot: best.slot, cause: messageOf(thrown) }, 'ownership record not written again');
    }
  }
}
