import { type Slot } from '../../schemas/slot.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { KafkaConnection, type BrokerHandle, type KafkaOptions } from './connection.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.ts';
import {
  type Answer,
  type Coordinator,
  type Joined,
  type JoinOrder,
  type Lane,
  type MemberRef,
  type Refusal,
  type SlotCommit,
  type SyncOrder,
} from './coordinator.ts';
import { isDenied, type KafkaError, kafkaError, toHoldfastError } from './errors.ts';
import { type LockTimers } from './lock-timers.ts';

/**
 * The coordinator of a group in Kafka. Four lanes, each with connections of its own.
 *
 * KC1. A lane that failed forgets its coordinator, and the next request asks for it again; after two failures in a row
 *      it asks another broker than the one that failed, because a superseded coordinator names itself.
 * KC2. A probe that is refused names its broker as one to avoid: it answers, but cannot write.
 */
export interface KafkaCoordinatorOptions {
  readonly kafka: KafkaOptions;
  readonly groupId: string;
  /** Its partitions are the slots: offsets are committed there. */
  readonly slotTopic: string;
  /** Its partition 0 takes the probe commits. */
  readonly probeTopic: string;
  readonly timers: LockTimers;
}

interface LaneState {
  readonly connection: KafkaConnection;
  found: { readonly nodeId: number; readonly broker: BrokerHandle } | undefined;
  failures: number;
  avoidNodeId: number | undefined;
}

export class KafkaCoordinator implements Coordinator {
  readonly #options: KafkaCoordinatorOptions;
  readonly #lanes: Readonly<Record<Lane, LaneState>>;

  constructor(options: KafkaCoordinatorOptions) {
    this.#options = options;
    const { sessionTimeoutMs, heartbeatMs } = options.timers;
    // A heartbeat's answer is worth waiting for only while there is time for another attempt.
    const beatMs = Math.min(2 * heartbeatMs, sessionTimeoutMs / 4);
    const lane = (name: Lane, requestTimeoutMs: number): LaneState => ({
      connection: new KafkaConnection(options.kafka, {
        name: `${options.groupId} ${name}`,
        requestTimeoutMs,
        connectTimeoutMs: Math.min(requestTimeoutMs, Math.max(heartbeatMs, 250)),
      }),
      found: undefined,
      failures: 0,
      avoidNodeId: undefined,
    });
    this.#lanes = {
      join: lane('join', sessionTimeoutMs / 2),
      group: lane('group', sessionTimeoutMs / 4),
      heartbeat: lane('heartbeat', beatMs),
      probe: lane('probe', beatMs),
    };
  }

  join(order: JoinOrder): Promise<Answer<Joined>> {
    const { groupId, slotTopic, timers } = this.#options;
    return this.#ask('join', async (broker) => {
      const joined = await broker.joinGroup({
        groupId,
        memberId: order.memberId,
        sessionTimeoutMs: timers.sessionTimeoutMs,
        rebalanceTimeoutMs: timers.rebalanceTimeoutMs,
        protocols: order.protocols.map(({ name, report }) => ({
          name,
          metadata: encodeSubscription(slotTopic, report),
        })),
        onMemberId: order.onMemberId,
      });
      return {
        memberId: joined.memberId,
        generation: joined.generation,
        leader: joined.leaderId === joined.memberId,
        members: joined.members.map(({ memberId, metadata }) => ({ memberId, report: decodeSubscription(metadata) })),
      };
    });
  }

  sync(order: SyncOrder): Promise<Answer<Buffer>> {
    const { groupId, slotTopic, timers } = this.#options;
    const { memberId, generation, plan } = order;
    const assignments =
      plan === null
        ? []
        : [...plan.owned].map(([id, slots]) => ({
            memberId: id,
            assignment: encodeAssignment(slotTopic, slots, plan.bytes),
          }));
    return this.#ask('join', async (broker) =>
      decodeAssignment(await broker.syncGroup({ groupId, generation, memberId }, assignments, timers.sessionTimeoutMs)),
    );
  }

  heartbeat(member: MemberRef): Promise<Answer<null>> {
    return this.#ask('heartbeat', (broker) => broker.heartbeat(this.#ref(member)).then(() => null));
  }

  probe(member: MemberRef): Promise<Answer<null>> {
    const entry = { topic: this.#options.probeTopic, partition: 0, offset: 0n, metadata: '' };
    return this.#ask('probe', (broker) => broker.offsetCommit(this.#ref(member), [entry]).then(() => null));
  }

  commit(member: MemberRef, commits: readonly SlotCommit[]): Promise<Answer<null>> {
    const topic = this.#options.slotTopic;
    const entries = commits.map(({ slot, offset, metadata }) => ({ topic, partition: slot, offset, metadata }));
    return this.#ask('group', (broker) => broker.offsetCommit(this.#ref(member), entries).then(() => null));
  }

  fetch(slots: readonly Slot[]): Promise<Answer<ReadonlyMap<Slot, SlotCommit>>> {
    const { groupId, slotTopic: topic } = this.#options;
    return this.#ask('group', async (broker) => {
      const committed = await broker.offsetFetch(
        groupId,
        slots.map((partition) => ({ topic, partition })),
      );
      const found = committed.filter(({ offset }) => offset >= 0n);
      return new Map(
        found.map(({ partition, offset, metadata }) => [partition, { slot: partition, offset, metadata }]),
      );
    });
  }

  leave(memberId: string): Promise<Answer<null>> {
    return this.#ask('group', (broker) => broker.leaveGroup(this.#options.groupId, memberId).then(() => null));
  }

  reset(lane: Lane): void {
    const state = this.#lanes[lane];
    state.connection.destroy('the coordinator is looked up again');
    state.found = undefined;
  }

  destroy(): void {
    for (const { connection } of Object.values(this.#lanes)) connection.destroy('the member stopped');
  }

  #ref({ memberId, generation }: MemberRef): { groupId: string; memberId: string; generation: number } {
    return { groupId: this.#options.groupId, memberId, generation };
  }

  async #ask<T>(name: Lane, request: (broker: BrokerHandle) => Promise<T>): Promise<Answer<T>> {
    const lane = this.#lanes[name];
    try {
      lane.found ??= await this.#find(lane);
      const value = await request(lane.found.broker);
      lane.failures = 0;
      lane.avoidNodeId = undefined;
      return { kind: 'ok', value };
    } catch (thrown) {
      const error = kafkaError(thrown, name);
      const kind = refusalOf(error);
      if (kind === 'lost') {
        lane.failures += 1;
        if (name === 'probe' || lane.failures >= 2) lane.avoidNodeId = lane.found?.nodeId ?? lane.avoidNodeId; // KC1, KC2
        lane.found = undefined;
      } else {
        lane.failures = 0;
      }
      return { kind, error: kind === 'fatal' ? this.#explain(error) : error };
    }
  }

  async #find(lane: LaneState): Promise<{ nodeId: number; broker: BrokerHandle }> {
    return lane.connection.findCoordinator(this.#options.groupId, 'group', lane.avoidNodeId);
  }

  /** What the operator can do about a refusal that repeating does not cure. */
  #explain(error: KafkaError): Error {
    const { groupId, timers } = this.#options;
    if (error.name === 'INVALID_SESSION_TIMEOUT') {
      const message =
        `the brokers refuse a session timeout of ${timers.sessionTimeoutMs} ms: set HOLDFAST_SESSION_TIMEOUT_MS between ` +
        `the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms, or change those`;
      return new HoldfastError('SETTING_INVALID', message, { cause: error, facts: { groupId } });
    }
    if (error.name === 'INCONSISTENT_GROUP_PROTOCOL') {
      const message = `group ${groupId} is used by another program: stop it, or set another HOLDFAST_TOPIC_PREFIX`;
      return new HoldfastError('PLAN_INVALID', message, { cause: error, facts: { groupId } });
    }
    return isDenied(error)
      ? toHoldfastError(error)
      : new HoldfastError('KAFKA_UNAVAILABLE', `group ${groupId}: ${messageOf(error)}`, { cause: error });
  }
}

/** What an error of a group request means for the lock. */
export function refusalOf(error: KafkaError): Refusal {
  switch (error.name) {
    case 'UNKNOWN_MEMBER_ID':
    case 'FENCED_INSTANCE_ID':
      return 'unknown-member';
    case 'ILLEGAL_GENERATION':
      return 'illegal-generation';
    case 'REBALANCE_IN_PROGRESS':
      return 'rebalance';
    case 'INVALID_SESSION_TIMEOUT':
    case 'INCONSISTENT_GROUP_PROTOCOL':
    case 'INVALID_GROUP_ID':
    case 'GROUP_MAX_SIZE_REACHED':
    case 'UNSUPPORTED_VERSION':
      return 'fatal';
    case 'INVALID_COMMIT_OFFSET_SIZE':
    case 'OFFSET_METADATA_TOO_LARGE':
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return 'refused';
    default:
      return isDenied(error) ? 'fatal' : 'lost';
  }
}
