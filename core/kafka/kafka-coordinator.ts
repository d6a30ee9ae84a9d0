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
  type ProbeProof,
  type Refusal,
  type SlotCommit,
  type SyncOrder,
} from './coordinator.ts';
import { isDenied, KafkaError, kafkaError, toHoldfastError } from './errors.ts';
import { reportBytesMax } from './held-report.ts';
import { type LockTimers } from './lock-timers.ts';
import { offsetsPartitionOf, offsetsTopic } from './offsets-topic.ts';

/**
 * The coordinator of a group in Kafka. Four lanes, each with connections of its own.
 *
 * KC1. A lane that failed forgets its coordinator, and the next request asks for it again; after two failures in a row
 *      it asks another broker than the one that failed, because a superseded coordinator names itself.
 * KC2. A probe that is refused names its broker as one to avoid: it answers, but cannot write.
 * KC3. A probe is a commit and a heartbeat at one broker: what a superseded coordinator answers to heartbeats elsewhere must
 *      not stand in for the one that counts. While a generation waits for its plan the coordinator takes no commit of its
 *      members; then the commit is of a group beside ours, in the same partition of the offsets topic: a leader that is
 *      frozen between its Join and its Sync must not cost everybody the lease.
 * KC4. A lane that was answered by another broker than the one it lost tells the lanes that still hold on to that one, or
 *      know of none, which broker it is: each of them would wait for its own timeout, and once more where the broker that it
 *      asks for the coordinator is the one that answers nobody; a Join for the whole session.
 * KC5. What another member wrote cannot make an answer unreadable: metadata that are no subscription or too large for one
 *      of ours, and an assignment that is none, are handed on as they came, for the lock to refuse by name. As an answer
 *      that is `lost` they would be asked for again without end, and cost everybody the lease.
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
  /** The broker that answered no more, until another one has answered. */
  lostNodeId: number | undefined;
  found: { readonly nodeId: number; readonly broker: BrokerHandle } | undefined;
  failures: number;
  avoidNodeId: number | undefined;
}

const laneNames: readonly Lane[] = ['join', 'group', 'heartbeat', 'probe'];

export class KafkaCoordinator implements Coordinator {
  readonly #options: KafkaCoordinatorOptions;
  #twinGroup: string | undefined;
  #twinRefused = false;
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
      lostNodeId: undefined,
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
        members: joined.members.map(({ memberId, metadata }) => ({ memberId, report: reportIn(metadata) })),
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
      planIn(await broker.syncGroup({ groupId, generation, memberId }, assignments, timers.sessionTimeoutMs)),
    );
  }

  heartbeat(member: MemberRef): Promise<Answer<null>> {
    return this.#ask('heartbeat', (broker) => broker.heartbeat(this.#ref(member)).then(() => null));
  }

  probe(member: MemberRef): Promise<Answer<ProbeProof>> {
    const entries = [{ topic: this.#options.probeTopic, partition: 0, offset: 0n, metadata: '' }];
    return this.#ask('probe', async (broker) => {
      const awaitsPlan = await rebalancing(broker.offsetCommit(this.#ref(member), entries));
      if (await rebalancing(broker.heartbeat(this.#ref(member)))) return awaitsPlan ? 'nothing' : 'rebalance'; // KC3
      return awaitsPlan ? this.#probeTwin(broker, entries) : 'member';
    });
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
    let asked = lane.found;
    try {
      asked ??= lane.found = await this.#find(lane);
      const value = await request(asked.broker);
      lane.failures = 0;
      lane.avoidNodeId = undefined;
      if (name === 'probe') this.#passOn(lane); // only it proves that the broker can write (L-2)
      return { kind: 'ok', value };
    } catch (thrown) {
      const error = kafkaError(thrown, name);
      const kind = refusalOf(error);
      if (kind === 'lost') {
        lane.failures += 1;
        lane.lostNodeId ??= asked?.nodeId;
        if (name === 'probe' || lane.failures >= 2) lane.avoidNodeId = asked?.nodeId ?? lane.avoidNodeId; // KC1, KC2
        if (lane.found === asked) lane.found = undefined; // else KC4 has brought another one meanwhile
      } else {
        lane.failures = 0;
      }
      return { kind, error: kind === 'fatal' ? this.#explain(error) : error };
    }
  }

  /** KC4 */
  #passOn(lane: LaneState): void {
    const { lostNodeId, found } = lane;
    lane.lostNodeId = undefined;
    if (lostNodeId === undefined || found === undefined || lostNodeId === found.nodeId) return;
    for (const name of laneNames) {
      const other = this.#lanes[name];
      if (other === lane || (other.found !== undefined && other.found.nodeId !== lostNodeId)) continue;
      if (other.avoidNodeId === found.nodeId) continue;
      if (other.found !== undefined) this.reset(name);
      other.found = { nodeId: found.nodeId, broker: other.connection.brokerAt(found.broker) };
    }
  }

  /** A refusal is told once and proves nothing; that the broker does not answer is the lane's to say. */
  async #probeTwin(broker: BrokerHandle, entries: Parameters<BrokerHandle['offsetCommit']>[1]): Promise<ProbeProof> {
    try {
      const groupId = await this.#twin();
      if (groupId === undefined)
        throw new KafkaError('denied', 'TOPIC_AUTHORIZATION_FAILED', `${offsetsTopic} is not to be seen`);
      await broker.offsetCommit({ groupId, memberId: '', generation: -1 }, entries);
      return 'member';
    } catch (thrown) {
      const error = kafkaError(thrown, 'probe');
      if (refusalOf(error) === 'lost') throw error;
      const { kafka, groupId } = this.#options;
      const fields = { groupId, cause: error.message };
      if (!this.#twinRefused)
        kafka.logger.warn(
          fields,
          'no commit beside the group: allow Read on groups of its prefix, and Describe on the offsets topic',
        );
      this.#twinRefused = true;
      return 'nothing';
    }
  }

  /** A group that nobody joins, in our partition of the offsets topic (KC3). */
  async #twin(): Promise<string | undefined> {
    if (this.#twinGroup !== undefined) return this.#twinGroup;
    const { groupId } = this.#options;
    const { connection } = this.#lanes.probe;
    const [topic] = await connection.refreshMetadata([offsetsTopic]);
    const partitions = topic?.partitions.length ?? 0;
    if (partitions > 0) this.#twinGroup = twinOf(groupId, partitions);
    return this.#twinGroup;
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

/** KC5 */
function reportIn(metadata: Buffer): Buffer {
  if (metadata.length > reportBytesMax) return metadata;
  try {
    return decodeSubscription(metadata);
  } catch {
    return metadata;
  }
}

/** KC5 */
function planIn(assignment: Buffer): Buffer {
  try {
    return decodeAssignment(assignment);
  } catch {
    return assignment;
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

/** `GROUP-probe-N` with the lowest N that Kafka puts into the same partition of the offsets topic as `groupId`. */
export function twinOf(groupId: string, partitions: number): string {
  const wanted = offsetsPartitionOf(groupId, partitions);
  for (let n = 0; ; n += 1) {
    const twin = `${groupId}-probe-${n}`;
    if (offsetsPartitionOf(twin, partitions) === wanted) return twin;
  }
}

/** Whether the answer was that a rebalance goes on; rejects as the request does otherwise. */
async function rebalancing(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return false;
  } catch (thrown) {
    if (thrown instanceof KafkaError && thrown.name === 'REBALANCE_IN_PROGRESS') return true;
    throw thrown;
  }
}
