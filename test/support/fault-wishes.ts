import { systemClock } from '../../core/clock.ts';
import { KafkaOwnershipLog } from '../../core/kafka/ownership-log.ts';
import { Producer } from '../../core/kafka/producer.ts';
import { silentLogger } from '../../core/logger.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { placementCodec } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { placeKey, topicOf } from '../../schemas/topics.ts';
import { type FaultStage } from './fault-stage.ts';
import { kafkaFor } from './lock-member.ts';

/** An operator of a stage's group: wishes as query-api writes them, and what has become of them. */
export class FaultWishes {
  readonly #topic: string;
  readonly #producer: Producer;
  readonly #log: KafkaOwnershipLog;

  constructor({ brokers, prefix }: FaultStage) {
    const kafka = kafkaFor(brokers, 'wishes');
    this.#topic = topicOf(prefix, 'ownership');
    this.#producer = new Producer({ kafka });
    this.#log = new KafkaOwnershipLog({
      kafka,
      role: 'ingest',
      topicPrefix: prefix,
      producer: this.#producer,
      schemas: { idOf: () => 1 },
      clock: systemClock,
      logger: silentLogger,
    });
  }

  static async of(stage: FaultStage): Promise<FaultWishes> {
    const wishes = new FaultWishes(stage);
    stage.onEnd(() => wishes.stop());
    const { signal } = new AbortController();
    await wishes.#producer.start(signal);
    const ignore = (): void => undefined;
    const listener = { slotChanged: ignore, slotLowered: ignore, planChanged: ignore, planLowered: ignore };
    await wishes.#log.start({ ...listener, wishesChanged: ignore, fatal: ignore }, signal);
    return wishes;
  }

  /** Slots with a wish that stands, as far as this reader has come. */
  get standing(): Slot[] {
    return [...this.#log.view.places.keys()].sort((a, b) => a - b);
  }

  /** All in one batch, so that no plan is made with some of them. Resolves when they are durable and read back. */
  async place(placements: ReadonlyMap<Slot, string>): Promise<void> {
    const records = [...placements].map(([slot, instance]) => {
      const wish = { instance, drain: false, incarnation: '', changedBy: 'test', changedAtNs: systemClock.nowNs() };
      return { key: Buffer.from(placeKey(slot)), value: encodeFrame(1, placementCodec.encode(wish)) };
    });
    await this.#producer.send(this.#topic, 0, records);
    await this.#log.readToEnd(new AbortController().signal);
  }

  async stop(): Promise<void> {
    await this.#log.stop();
    await this.#producer.stop();
  }
}
