import { type Member, type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type GroupRole, topicOf } from '../../schemas/topics.ts';
import { type Clock } from '../clock.ts';
import { type Component } from '../lifecycle.ts';
import { type Logger } from '../logger.ts';
import { type Random } from '../random.ts';
import { type Claim } from './claim.ts';
import { type KafkaOptions } from './connection.ts';
import { KafkaCoordinator } from './kafka-coordinator.ts';
import { type LockTimers } from './lock-timers.ts';
import { LockWorker } from './lock-worker.ts';
import { KafkaLogEnds } from './log-ends.ts';
import { KafkaOwnershipLog, type OwnershipProducer } from './ownership-log.ts';
import { type Peers } from './peers.ts';
import { type SlotHost, type SlotWriter, type Standby, type WriterHooks } from './slot-host.ts';
import { type SchemaIds } from './schema-ids.ts';

/**
 * A member of the group that shares the slots among the processes of one part: the lock, over Kafka.
 *
 *   coordinator.ts (port) ← kafka-coordinator.ts        who is a member, who leads, the register of epochs
 *   ownership-log.ts                                    releases and plans, read by everybody
 *   lock-worker.ts  worker-state.ts  lease.ts           the membership and how long it may be trusted
 *   slot-driver.ts  slot-state.ts  start-rule.ts        what becomes of each slot
 *   leadership.ts  plan.ts  held-report.ts  claim.ts    what members tell each other
 *   peers.ts (port) ← tcp-peers.ts                      who is gone, and hurry
 */
export interface GroupMemberOptions<W extends SlotWriter> {
  readonly groupId: string;
  readonly role: GroupRole;
  readonly topicPrefix: string;
  readonly slots: number;
  readonly instanceId: string;
  /** Random id of this run of the process. */
  readonly incarnation: string;
  readonly zone: string;
  readonly timers: LockTimers;
  readonly kafka: KafkaOptions;
  readonly host: SlotHost<W>;
  readonly peers: Peers;
  readonly standby: Standby;
  /** A writer for a claimed slot, not started. It asks `leaseLive` before every produce. */
  readonly createWriter: (slot: Slot, epoch: bigint, hooks: WriterHooks) => W;
  readonly producer: OwnershipProducer;
  readonly schemas: Pick<SchemaIds, 'idOf'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

/** An ordinary worker's weight in balancing. */
const capacity = 100;

export class GroupMember<W extends SlotWriter> implements Component {
  readonly name = 'group member';
  readonly #worker: LockWorker<W>;
  readonly #options: GroupMemberOptions<W>;
  #started: Promise<void> | undefined;

  constructor(options: GroupMemberOptions<W>) {
    this.#options = options;
    const { kafka, topicPrefix, role, timers, clock, logger, producer, schemas } = options;
    const self: Omit<Member, 'memberId'> = {
      instance: options.instanceId,
      incarnation: options.incarnation,
      peer: '', // the listener's, once there is one
      zone: options.zone,
    };
    this.#worker = new LockWorker({
      coordinator: new KafkaCoordinator({
        kafka,
        groupId: options.groupId,
        slotTopic: topicOf(topicPrefix, role === 'ingest' ? 'devices' : 'telemetry'),
        probeTopic: topicOf(topicPrefix, 'ownership'),
        timers,
      }),
      log: new KafkaOwnershipLog({ kafka, role, topicPrefix, producer, schemas, clock, logger }),
      ends: new KafkaLogEnds({
        kafka,
        topic: topicOf(topicPrefix, role === 'ingest' ? 'telemetry' : 'state'),
        clock,
        logger,
      }),
      slots: options.slots,
      host: options.host,
      peers: options.peers,
      standby: options.standby,
      createWriter: options.createWriter,
      timers,
      self,
      capacity,
      clock,
      random: options.random,
      logger: logger.child({ group: options.groupId }),
      onFatal: options.onFatal,
    });
  }

  /** Resolves with the first adopted plan; slots come later. Rejects when an operator has to act first. */
  start(signal: AbortSignal): Promise<void> {
    return (this.#started ??= this.#worker.start(signal));
  }

  /** Hands every slot over and leaves the group; at most 25 s, then what is left is dropped. */
  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  /** The same as `stop`, for those who wait for it before they stop other things. */
  drain(): Promise<void> {
    return this.stop();
  }

  /** May this worker publish now? A comparison of two numbers. */
  leaseLive(): boolean {
    return this.#worker.leaseLive();
  }

  /** Slots became warm here. */
  warmed(): void {
    this.#worker.warmed();
  }

  /** Slots that are active here. */
  held(): Slot[] {
    return this.#worker.held();
  }

  get plan(): Plan | null {
    return this.#worker.plan;
  }

  /** State of the worker machine, for logs and `/readyz`. */
  get state(): string {
    return this.#worker.state;
  }

  get instanceId(): string {
    return this.#options.instanceId;
  }

  /**
   * The replicator's: where the next owner starts to read, and the last telemetry record applied. Rejects, retryable, when
   * the coordinator did not accept it.
   */
  commitOffset(slot: Slot, nextOffset: bigint, applied: Claim['applied']): Promise<void> {
    return this.#worker.slots.commitOffset(slot, nextOffset, applied);
  }
}
