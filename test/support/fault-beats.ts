import { systemClock } from '../../core/clock.ts';
import { type Lane, type MemberRef } from '../../core/kafka/coordinator.ts';
import { Heartbeats } from '../../core/kafka/heartbeats.ts';
import { KafkaCoordinator } from '../../core/kafka/kafka-coordinator.ts';
import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { systemRandom } from '../../core/random.ts';
import { topicOf } from '../../schemas/topics.ts';
import { kafkaFor } from './lock-member.ts';

export interface FaultBeatsOptions {
  readonly brokers: readonly string[];
  /** Of a group with the coordinator that is watched. */
  readonly groupId: string;
  readonly prefix: string;
  readonly timers: LockTimers;
}

type Beat = 'heartbeat' | 'commit';

/**
 * A group of one that beats as every member of the lock does, with the product's own requests, and keeps what a lease
 * would have lived through: for how long nothing that it sent was accepted.
 */
export class FaultBeats {
  /** From the sending of an accepted beat until the next accepted one was answered; the longest. */
  readonly ageMsMax: Record<Beat, number> = { heartbeat: 0, commit: 0 };
  /** Answers that end a membership. */
  readonly refusals: string[] = [];
  readonly #coordinator: KafkaCoordinator;
  readonly #options: FaultBeatsOptions;
  readonly #sentAtMs: Record<Beat, number> = { heartbeat: Number.NaN, commit: Number.NaN };
  #heartbeats: Heartbeats | undefined;

  constructor(options: FaultBeatsOptions) {
    const { brokers, groupId, prefix, timers } = options;
    this.#options = options;
    this.#coordinator = new KafkaCoordinator({
      kafka: kafkaFor(brokers, 'beats'),
      groupId,
      slotTopic: topicOf(prefix, 'devices'),
      probeTopic: topicOf(prefix, 'ownership'),
      timers,
    });
  }

  async start(): Promise<void> {
    const member = await this.#join();
    this.#heartbeats = new Heartbeats({
      coordinator: this.#coordinator,
      timers: this.#options.timers,
      clock: systemClock,
      random: systemRandom,
      current: () => member,
      synced: () => member,
      suspended: () => false,
      accepted: (proof, sentAtMs) => this.#accepted(proof === 'commit' ? 'commit' : 'heartbeat', sentAtMs),
      refused: (kind, lane: Lane) => {
        if (kind === 'lost') this.#coordinator.reset(lane);
        else this.refusals.push(`${lane} ${kind}`);
      },
    });
    this.#heartbeats.start();
  }

  stop(): void {
    this.#heartbeats?.stop();
    this.#coordinator.destroy();
  }

  #accepted(beat: Beat, sentAtMs: number): void {
    const ageMs = systemClock.monotonicMs() - this.#sentAtMs[beat];
    if (ageMs > this.ageMsMax[beat]) this.ageMsMax[beat] = ageMs;
    this.#sentAtMs[beat] = sentAtMs;
  }

  async #join(): Promise<MemberRef> {
    const protocols = [{ name: 'p', report: Buffer.alloc(1) }];
    const joined = await this.#coordinator.join({ memberId: '', protocols, onMemberId: () => undefined });
    if (joined.kind !== 'ok') throw joined.error;
    const { memberId, generation } = joined.value;
    const plan = { bytes: Buffer.alloc(1), owned: new Map([[memberId, []]]) };
    const synced = await this.#coordinator.sync({ memberId, generation, plan });
    if (synced.kind !== 'ok') throw synced.error;
    return { memberId, generation };
  }
}
