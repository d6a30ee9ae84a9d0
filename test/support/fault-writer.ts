import { systemClock, type Timer } from '../../core/clock.ts';
import { FencedWriter, type FencedWriterOptions } from '../../core/kafka/fenced-writer.ts';
import { type WriterHooks } from '../../core/kafka/slot-host.ts';

/** For how long a member without guard goes on after it was told to stop. */
export const heedlessMs = 2_000;

/**
 * The control of the lease: a writer that sends whether the lease stands or not, and goes on for a while when it is
 * stopped. Only producer ids are asked for by the rules: else it would fence the rightful owner, which is another fault.
 */
export class HeedlessWriter extends FencedWriter {
  #timer: Timer | undefined;

  constructor(options: FencedWriterOptions, hooks: WriterHooks) {
    const { producerIds } = options;
    super({
      ...options,
      ...hooks,
      leaseLive: () => true,
      producerIds: {
        next: (transactionalId, _mayAsk, signal) => producerIds.next(transactionalId, hooks.leaseLive, signal),
      },
    });
  }

  override stop(): number {
    this.#timer ??= systemClock.after(heedlessMs, () => super.stop());
    return 0;
  }

  /** Stops at once. */
  end(): void {
    this.#timer?.cancel();
    super.stop();
  }
}
