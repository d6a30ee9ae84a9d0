import { systemClock } from '../../core/clock.ts';
import { fencedCodes } from '../../core/kafka/fenced-partition.ts';
import { ProduceDispatcher, type ProduceBatch, type ProduceSource } from '../../core/kafka/produce-dispatcher.ts';

/** A dispatcher that counts what the broker answered, batch by batch. */
export class WitnessDispatcher extends ProduceDispatcher {
  /** Of each batch that was refused because of a newer owner: when it was put into its request, by the wall clock. */
  readonly refusedTakenAtMs: number[] = [];
  readonly #watched = new WeakMap<ProduceSource, ProduceSource>();

  override ready(source: ProduceSource, delayMs?: number): void {
    super.ready(this.#watch(source), delayMs);
  }

  override rest(source: ProduceSource, delayMs: number): void {
    super.rest(this.#watch(source), delayMs);
  }

  override forget(source: ProduceSource): void {
    super.forget(this.#watch(source));
  }

  #watch(source: ProduceSource): ProduceSource {
    const known = this.#watched.get(source);
    if (known !== undefined) return known;
    const watched: ProduceSource = {
      topic: source.topic,
      partition: source.partition,
      take: () => {
        const batch = source.take();
        return batch === null ? null : this.#counted(batch);
      },
    };
    this.#watched.set(source, watched);
    this.#watched.set(watched, watched); // the dispatcher hands it to its own methods
    return watched;
  }

  #counted(batch: ProduceBatch): ProduceBatch {
    const takenAtMs = systemClock.nowMs();
    return {
      bytes: batch.bytes,
      lost: (error) => batch.lost(error),
      answered: (answer) => {
        if (fencedCodes.includes(answer.code)) this.refusedTakenAtMs.push(takenAtMs);
        batch.answered(answer);
      },
    };
  }
}
