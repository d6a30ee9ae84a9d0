import { systemClock } from '../../core/clock.ts';
import { type LogBatch, LogReader, type LogReaderOptions } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { type RecordHeader } from '../../schemas/position.ts';
import { topicOf } from '../../schemas/topics.ts';
import { type TestKafka } from './kafka.ts';
import { kafkaFor } from './lock-member.ts';

/** Follows `telemetry` from its beginning, and checks positions as any reader of it would. */
export abstract class TelemetryFollower {
  /** Records of an epoch below one that was seen before in their slot. */
  lowerEpochs = 0;
  /** Breaks in 1, 2, 3 … of an epoch. */
  seqHoles = 0;
  readonly #slots: number;
  readonly #topic: string;
  readonly #reader: LogReader;
  readonly #last = new Map<number, { epoch: bigint; seq: bigint }>();

  constructor(kafka: TestKafka, slots: number, name: string, options: Pick<LogReaderOptions, 'maxWaitMs'> = {}) {
    this.#slots = slots;
    this.#topic = topicOf(kafka.prefix, 'telemetry');
    this.#reader = new LogReader({
      ...options,
      kafka: kafkaFor(kafka.brokers, name),
      name,
      clock: systemClock,
      logger: silentLogger,
      onBatch: (batch) => this.apply(batch),
    });
  }

  async start(): Promise<void> {
    for (let slot = 0; slot < this.#slots; slot += 1) this.#reader.assign(this.#topic, slot, 'earliest');
    await this.#reader.start(new AbortController().signal);
  }

  stop(): Promise<void> {
    return this.#reader.stop();
  }

  /** Resolves when everything that is in the log now has been read. */
  async readToEnd(): Promise<void> {
    const { signal } = new AbortController();
    for (let slot = 0; slot < this.#slots; slot += 1) await this.#reader.readToEnd(this.#topic, slot, signal);
  }

  /** The epoch of each slot as the log has it. */
  epochs(): ReadonlyMap<number, bigint> {
    return new Map([...this.#last].map(([slot, { epoch }]) => [slot, epoch]));
  }

  protected abstract apply(batch: LogBatch): void;

  /** Counts what is wrong with a position. Answers whether its epoch is current: of one that is over readers drop the record. */
  protected notePosition(slot: number, { epoch, seq }: RecordHeader): boolean {
    const last = this.#last.get(slot);
    if (last !== undefined && epoch < last.epoch) {
      this.lowerEpochs += 1;
      return false;
    }
    if (seq !== (last?.epoch === epoch ? last.seq + 1n : 1n)) this.seqHoles += 1;
    this.#last.set(slot, { epoch, seq });
    return true;
  }
}
