import { systemClock, type Timer } from '../../core/clock.ts';
import { type BrokerHandle, type JoinedGroup } from '../../core/kafka/broker-handle.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { KafkaError } from '../../core/kafka/errors.ts';
import { RequestBody } from '../../core/kafka/request-body.ts';
import { ResponseBody } from '../../core/kafka/response-body.ts';
import { kafkaFor } from './lock-member.ts';

/**
 * Somebody in a group who is no lock member: well behaved towards Kafka (it heartbeats, rejoins, syncs), and free to say
 * whatever it likes in its metadata and, while it leads, in its assignments.
 */
export interface ForeignMemberOptions {
  readonly brokers: readonly string[];
  readonly groupId: string;
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  /** What it gives to every member while it leads. */
  readonly assignment?: (joined: JoinedGroup) => Buffer;
}

const heartbeatMs = 100;

export class ForeignMember {
  /** Of the last JoinGroup that was answered. */
  joined: JoinedGroup | null = null;
  /** What the leader gave to it, round by round; bounded by the length of a test. */
  readonly assigned: Buffer[] = [];
  /** Kafka's errors that ended a membership of it, in order. */
  readonly removed: string[] = [];
  readonly #options: ForeignMemberOptions;
  readonly #join: KafkaConnection;
  readonly #beat: KafkaConnection;
  #timer: Timer | undefined;
  #beating = false;

  constructor(options: ForeignMemberOptions) {
    this.#options = options;
    const kafka = kafkaFor(options.brokers, 'foreign');
    this.#join = new KafkaConnection(kafka, { name: 'foreign join', requestTimeoutMs: 20_000 });
    this.#beat = new KafkaConnection(kafka, { name: 'foreign beat', requestTimeoutMs: 5_000 });
  }

  get leads(): boolean {
    return this.joined !== null && this.joined.leaderId === this.joined.memberId;
  }

  /** Resolves with the first assignment. Rejects with a `KafkaError` when Kafka does not let it in. */
  async start(): Promise<void> {
    await this.#round();
    this.#timer = systemClock.every(heartbeatMs, () => void this.#onBeat());
  }

  async leave(): Promise<void> {
    const { joined } = this;
    this.stop();
    if (joined === null) return;
    const connection = new KafkaConnection(kafkaFor(this.#options.brokers, 'foreign'), {
      name: 'foreign leave',
      requestTimeoutMs: 5_000,
    });
    try {
      const broker = await connection.coordinator(this.#options.groupId, 'group');
      await broker.leaveGroup(this.#options.groupId, joined.memberId);
    } finally {
      connection.destroy();
    }
  }

  /** Says nothing any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#join.destroy();
    this.#beat.destroy();
  }

  /** Join and sync, again for as long as the group is in a rebalance. */
  async #round(): Promise<void> {
    const { groupId, protocols, assignment } = this.#options;
    const broker = await this.#join.coordinator(groupId, 'group');
    for (;;) {
      const joined = await broker.joinGroup({
        groupId,
        memberId: this.joined?.memberId ?? '',
        sessionTimeoutMs: 6_000,
        rebalanceTimeoutMs: 12_000,
        protocols,
      });
      this.joined = joined;
      const given = this.leads && assignment !== undefined ? assignment(joined) : Buffer.alloc(0);
      const assignments = joined.members.map(({ memberId }) => ({ memberId, assignment: given }));
      try {
        this.assigned.push(await broker.syncGroup({ groupId, ...joined }, assignments, 12_000));
        return;
      } catch (thrown) {
        if (nameOf(thrown) !== 'REBALANCE_IN_PROGRESS') throw thrown;
      }
    }
  }

  async #onBeat(): Promise<void> {
    const { groupId } = this.#options;
    if (this.#beating || this.joined === null) return;
    this.#beating = true;
    try {
      const broker = await this.#beat.coordinator(groupId, 'group');
      await broker.heartbeat({ groupId, ...this.joined });
    } catch (thrown) {
      if (this.#timer !== undefined) await this.#refused(nameOf(thrown));
    } finally {
      this.#beating = false;
    }
  }

  /** A member that was removed stays away. */
  async #refused(name: string): Promise<void> {
    try {
      if (name !== 'REBALANCE_IN_PROGRESS') throw new Error(name);
      await this.#round();
    } catch (thrown) {
      if (this.#timer === undefined) return; // it was stopped meanwhile
      this.removed.push(thrown instanceof KafkaError ? thrown.name : name);
      this.stop();
    }
  }
}

/** What Kafka tells a stock tool of the group: its state and the protocol that it picked. */
export async function describeGroup(
  brokers: readonly string[],
  groupId: string,
): Promise<{ state: string; protocol: string; members: number }> {
  const options = { name: 'describe', requestTimeoutMs: 5_000 };
  const connection = new KafkaConnection(kafkaFor(brokers, 'describe'), options);
  try {
    const coordinator: BrokerHandle = await connection.coordinator(groupId, 'group');
    const body = new RequestBody().array([groupId], (item, id) => item.string(id)).build();
    const answer = new ResponseBody(await coordinator.send(15, 1, body));
    answer.int32(); // throttle time
    const [group] = answer.array((item) => {
      item.int16(); // error code
      item.string();
      const state = item.string();
      item.string(); // protocol type
      const protocol = item.string();
      const members = item.array((member) => {
        for (let text = 0; text < 3; text += 1) member.string();
        member.bytes();
        return member.bytes();
      });
      return { state, protocol, members: members.length };
    });
    return group ?? { state: 'Dead', protocol: '', members: 0 };
  } finally {
    connection.destroy();
  }
}

function nameOf(thrown: unknown): string {
  return thrown instanceof KafkaError ? thrown.name : String(thrown);
}
