import { type Slot } from '../../schemas/slot.ts';
import { type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { formatClaim } from './claim.ts';
import { type SlotDriverOptions } from './slot-driver.ts';
import { type SlotWriter } from './slot-host.ts';
import { type SlotRun } from './slot-run.ts';
import { type SlotEvent } from './slot-state.ts';

/**
 * How a slot ends: released, with a statement that others wait for, or dropped, with none.
 *
 * SE1. The statement comes last: claim answered, beginning over, host closed and flushed, writer stopped, no commit that
 *      names the slot unanswered; a commit whose answer was lost is waited out by a Join and Sync of ours.
 * SE2. After `flushMsMax` the writer stops anyway, and the statement says that the last seq is unknown: the end of that
 *      epoch is a gap to readers.
 * SE3. A statement that cannot be written is replaced: the register says that nobody claims, and we rejoin without it.
 */
const flushMsMax = 5_000;
const writeMsMax = 2_000;
const retryMs = 500;

export class SlotEnd<W extends SlotWriter> {
  readonly #options: SlotDriverOptions<W>;
  readonly #report: (run: SlotRun<W>, event: SlotEvent) => void;

  constructor(options: SlotDriverOptions<W>, report: (run: SlotRun<W>, event: SlotEvent) => void) {
    this.#options = options;
    this.#report = report;
  }

  /** Ends in `flushed`. Never rejects. */
  async release(run: SlotRun<W>): Promise<void> {
    const { clock, logger, worker } = this.#options;
    await run.claiming; // as long as it takes: until then a release could become untrue
    const begun = await within(
      clock,
      run.beginning.then(() => true),
      flushMsMax,
    );
    if (begun !== true) {
      run.writer?.stop(); // what the host waits for in `begin` rejects: its calls must not overlap
      await within(clock, run.beginning, flushMsMax);
    }
    let lastSeq: bigint | null = null;
    if (run.begun && !run.controller.signal.aborted) {
      const limit = new AbortController();
      const signal = AbortSignal.any([limit.signal, run.controller.signal]);
      const reason = worker.draining() ? 'drain' : 'moved';
      const released = this.#options.host.release(run.slot, reason, signal).catch((thrown: unknown) => {
        if (!signal.aborted) logger.warn({ slot: run.slot, cause: messageOf(thrown) }, 'slot release failed');
        return { lastSeq: null };
      });
      lastSeq = (await within(clock, released, flushMsMax))?.lastSeq ?? null; // SE2
      limit.abort(new Error('the release took too long'));
    }
    run.writer?.stop();
    await Promise.allSettled(run.committing);
    await this.#outliveLostCommit(run);
    this.#report(run, { kind: 'flushed', lastSeq });
  }

  /** Ends in `release-acked` for a run; without one the statement is only written. Never rejects. */
  async writeRelease(
    slot: Slot,
    { epoch, lastSeq }: { readonly epoch: bigint; readonly lastSeq: bigint | null },
    run: SlotRun<W> | undefined,
  ): Promise<void> {
    const { log, worker, clock, logger } = this.#options;
    const written = log
      .writeSlot({
        slot,
        holder: worker.self(),
        state: 'released',
        epoch,
        lastSeq: lastSeq ?? 0n,
        sinceNs: clock.nowNs(),
        reason: worker.draining() ? 'drain' : 'move',
        fromEpoch: 0n,
        fromSeq: 0n,
      })
      .then(() => true)
      .catch((thrown: unknown) => {
        logger.warn({ slot, epoch, cause: messageOf(thrown) }, 'release not written');
        return false;
      });
    const done = await within(clock, written, writeMsMax);
    if (done !== true && run !== undefined) await this.#disclaim(run, epoch); // SE3
    if (run !== undefined) this.#report(run, { kind: 'release-acked' });
  }

  /** Ends in `closed`. Sockets are destroyed before this returns to its caller for the first time. Never rejects. */
  async drop(run: SlotRun<W>): Promise<void> {
    run.controller.abort(new Error('the slot was dropped'));
    const closed = run.begun ? this.#options.host.drop(run.slot) : Promise.resolve();
    const discarded = run.writer?.stop() ?? 0;
    if (discarded > 0) this.#options.logger.warn({ slot: run.slot, records: discarded }, 'unsent records discarded');
    await closed.catch((thrown: unknown) =>
      this.#options.logger.error({ slot: run.slot, cause: messageOf(thrown) }, 'slot drop failed'),
    );
    this.#report(run, { kind: 'closed' });
  }

  /** A copy of a commit that went unanswered may still be accepted in this generation, over the next owner's claim (SE1). */
  async #outliveLostCommit(run: SlotRun<W>): Promise<void> {
    const { worker, clock } = this.#options;
    const { signal } = run.controller;
    const outlived = (): boolean =>
      signal.aborted || run.uncertainGeneration === null || worker.synced()?.generation !== run.uncertainGeneration;
    while (!outlived()) {
      worker.wantRebalance(`a commit of slot ${run.slot} went unanswered`);
      await clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }

  async #disclaim(run: SlotRun<W>, epoch: bigint): Promise<void> {
    const { coordinator, worker, clock, log } = this.#options;
    const { signal } = run.controller;
    // Written after all, perhaps: then the register may be somebody else's already.
    const isWritten = (): boolean => {
      const record = log.view.slot(run.slot);
      return record !== null && (record.epoch > epoch || (record.epoch === epoch && record.state === 'released'));
    };
    while (!signal.aborted && !isWritten()) {
      const member = worker.synced();
      const metadata = formatClaim({ epoch, memberId: '', applied: run.applied });
      const commit = { slot: run.slot, offset: run.committedOffset, metadata };
      const answer = member === null ? null : await coordinator.commit(member, [commit]);
      if (answer?.kind === 'ok') {
        worker.wantRebalance(`the release of slot ${run.slot} could not be written`);
        return;
      }
      await clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }
}

/** The value of `work`, or undefined once `ms` have passed; `work` must not reject. */
async function within<T>(clock: Clock, work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = clock.after(ms, () => resolve(undefined));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}
