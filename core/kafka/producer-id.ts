import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { RateLimited, type Logger } from '../logger.ts';
import { systemRandom, type Random } from '../random.ts';
import { type BrokerHandle, type ProducerIdentity } from './broker-handle.ts';
import { KafkaConnection, type KafkaOptions } from './connection.ts';
import { isDenied, kafkaError } from './errors.ts';

export { type ProducerIdentity } from './broker-handle.ts';

/**
 * Producer ids by transactional id: every call gives the next producer epoch, and from the first batch that carries it
 * on the broker refuses the epochs before. A port, because the lock's simulation has its own.
 */
export interface ProducerIdSource {
  /**
   * Asks until it is answered. `mayAsk` is looked at before every attempt: once it is false nothing is sent any more and
   * the attempt waits. Rejects with the signal's reason, or with a `KafkaError` that only an operator can lift.
   */
  next(transactionalId: string, mayAsk: () => boolean, signal: AbortSignal): Promise<ProducerIdentity>;
}

export interface ProducerIdsOptions {
  readonly kafka: KafkaOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
}

const requestTimeoutMs = 3_000;
const retryMs = { initialMs: 20, maxMs: 1_000, factor: 2, jitter: 0.5 } as const;

/** InitProducerId over a connection of its own: a pending Join or a large Produce must not delay a takeover. */
export class ProducerIds implements ProducerIdSource {
  readonly #options: ProducerIdsOptions;
  readonly #connection: KafkaConnection;
  readonly #random: Random;
  readonly #limited = new RateLimited();
  /** By transactional id; forgotten at the first failure. */
  readonly #coordinators = new Map<string, BrokerHandle>();

  constructor(options: ProducerIdsOptions) {
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    this.#connection = new KafkaConnection(options.kafka, { name: 'producer id', requestTimeoutMs }, this.#random);
  }

  async next(transactionalId: string, mayAsk: () => boolean, signal: AbortSignal): Promise<ProducerIdentity> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff(retryMs);
    for (;;) {
      signal.throwIfAborted();
      const live = mayAsk();
      try {
        if (live) return await this.#ask(transactionalId, mayAsk);
      } catch (thrown) {
        this.#coordinators.delete(transactionalId);
        const error = kafkaError(thrown);
        if (isDenied(error) || !error.retriable) throw error;
        const suppressed = this.#limited.pass(error.name, clock.monotonicMs());
        // A fresh cluster answers so for a moment: worth a line only when it lasts.
        const line = { transactionalId, cause: error.message, suppressed };
        if (suppressed !== undefined && suppressed > 0) logger.warn(line, 'producer id not given, trying again');
      }
      await clock.sleep(backoff.nextMs(this.#random), signal);
    }
  }

  /** Requests under way reject; the object may be used again. */
  destroy(): void {
    this.#connection.destroy();
  }

  async #ask(transactionalId: string, mayAsk: () => boolean): Promise<ProducerIdentity> {
    let coordinator = this.#coordinators.get(transactionalId);
    if (coordinator === undefined) {
      coordinator = await this.#connection.coordinator(transactionalId, 'transaction');
      this.#coordinators.set(transactionalId, coordinator);
    }
    if (!mayAsk()) throw kafkaError(new Error('the lease ended while the coordinator was looked up'));
    return coordinator.initProducerId(transactionalId);
  }
}
