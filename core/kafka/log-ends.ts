import { decodeHeader } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { manyWaits } from '../abort.ts';
import { type Clock } from '../clock.ts';
import { type Logger } from '../logger.ts';
import { latestTimestamp } from './broker-handle.ts';
import { KafkaConnection, type KafkaOptions } from './connection.ts';
import { LogReader } from './log-reader.ts';

/**
 * The epochs at the ends of slots' partitions: a floor for claims whose register in the coordinator was lost (the group
 * was deleted, its offsets expired, the cluster is new). A port, for the simulation.
 */
export interface LogEnds {
  /** The epoch of the last record of each slot's partition; slots without one are not in the answer. */
  lastEpochs(slots: readonly Slot[], signal: AbortSignal): Promise<ReadonlyMap<Slot, bigint>>;
}

export interface KafkaLogEndsOptions {
  readonly kafka: KafkaOptions;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const requestTimeoutMs = 10_000;

export class KafkaLogEnds implements LogEnds {
  readonly #options: KafkaLogEndsOptions;

  constructor(options: KafkaLogEndsOptions) {
    this.#options = options;
  }

  async lastEpochs(slots: readonly Slot[], signal: AbortSignal): Promise<ReadonlyMap<Slot, bigint>> {
    const { kafka, topic, clock, logger } = this.#options;
    const ends = await this.#ends(slots);
    const epochs = new Map<Slot, bigint>();
    const reader = new LogReader({
      kafka,
      name: `ends of ${topic}`,
      onBatch: ({ partition, records }) => {
        for (const { header } of records) if (header !== null) raise(epochs, partition, decodeHeader(header).epoch);
      },
      clock,
      logger,
    });
    for (const [slot, end] of ends) reader.assign(topic, slot, end - 1n);
    try {
      await reader.start(signal);
      const all = manyWaits(signal);
      await Promise.all([...ends.keys()].map((slot) => reader.caughtUp(topic, slot, all)));
    } finally {
      await reader.stop();
    }
    return epochs;
  }

  /** Ends of the partitions that are not empty. */
  async #ends(slots: readonly Slot[]): Promise<Map<Slot, bigint>> {
    const { kafka, topic } = this.#options;
    const connection = new KafkaConnection(kafka, { name: `ends of ${topic}`, requestTimeoutMs });
    try {
      await connection.refreshMetadata([topic]);
      const byLeader = new Map<number, Slot[]>();
      for (const slot of slots) {
        const leader = connection.leaderOf(topic, slot);
        if (leader === undefined) throw new Error(`${topic}-${slot} has no leader`);
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), slot]);
      }
      const ends = new Map<Slot, bigint>();
      for (const [leader, led] of byLeader) {
        const timestamp = latestTimestamp;
        const listed = await connection
          .broker(leader)
          .listOffsets(led.map((partition) => ({ topic, partition, timestamp })));
        for (const { partition, code, offset } of listed) {
          if (code !== 0) throw new Error(`ListOffsets of ${topic}-${partition} answered ${code}`);
          if (offset > 0n) ends.set(partition, offset);
        }
      }
      return ends;
    } finally {
      connection.destroy('done');
    }
  }
}

function raise(epochs: Map<Slot, bigint>, slot: Slot, epoch: bigint): void {
  const known = epochs.get(slot);
  if (known === undefined || epoch > known) epochs.set(slot, epoch);
}
