import { systemClock } from '../../core/clock.ts';
import { FencedWriter } from '../../core/kafka/fenced-writer.ts';
import { ProduceDispatcher } from '../../core/kafka/produce-dispatcher.ts';
import { ProducerIds } from '../../core/kafka/producer-id.ts';
import { silentLogger } from '../../core/logger.ts';
import { type Slot } from '../../schemas/slot.ts';
import { topicOf, transactionalIdOf } from '../../schemas/topics.ts';
import { type FaultStage } from './fault-stage.ts';
import { kafkaFor } from './lock-member.ts';

/** A former owner whose InitProducerId arrives late: it has the slot's producer id, and is no member of the group. */
export class FaultRival {
  readonly #topic: string;
  readonly #slot: Slot;
  readonly #dispatcher: ProduceDispatcher;
  readonly #producerIds: ProducerIds;
  readonly #writer: FencedWriter;

  constructor(stage: FaultStage, slot: Slot, epoch: bigint) {
    const shared = { kafka: kafkaFor(stage.brokers, 'rival'), clock: systemClock, logger: silentLogger };
    this.#topic = topicOf(stage.prefix, 'telemetry');
    this.#slot = slot;
    this.#dispatcher = new ProduceDispatcher(shared);
    this.#producerIds = new ProducerIds(shared);
    this.#writer = new FencedWriter({
      ...shared,
      slot,
      epoch,
      transactionalId: transactionalIdOf(stage.prefix, 'ingest', slot),
      dispatcher: this.#dispatcher,
      producerIds: this.#producerIds,
      leaseLive: () => true,
      onFenced: () => undefined,
    });
    stage.onEnd(() => this.stop());
  }

  /** InitProducerId, and not one record. */
  async takeProducerId(): Promise<void> {
    await this.#dispatcher.start(new AbortController().signal);
    await this.#writer.start();
  }

  /** From here on the broker refuses the rightful owner. */
  async append(): Promise<void> {
    const record = {
      key: Buffer.from(`slot/${this.#slot}`),
      prefix: Buffer.alloc(6),
      value: Buffer.from('rival '),
      kind: 'owner',
      rpc: 0,
      receivedAtNs: systemClock.nowNs(),
    } as const;
    await this.#writer.appendNumbered(this.#topic, record).acked;
  }

  async stop(): Promise<void> {
    this.#writer.stop();
    await this.#dispatcher.stop();
    this.#producerIds.destroy();
  }
}
