import { BrokerLink, type BrokerAddress, type LinkLimits } from './broker-link.ts';
import { KafkaError, kafkaErrorOfCode } from './errors.ts';
import { type KafkaOptions } from './kafka-options.ts';
import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/**
 * One broker as the parts see it: requests of the Kafka protocol, in the versions named here, over a link that is made
 * when needed and thrown away when it fails. Every method rejects with a `KafkaError`; none repeats itself (but for
 * `joinGroup`, see there). Requests of one handle are answered in order, Fetch apart.
 */
export interface JoinRequest {
  readonly groupId: string;
  /** '' for a new member. */
  readonly memberId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Best first; metadata are ConsumerProtocol bytes. */
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  /** Told of the member id as soon as the coordinator has given one, before the join is answered. */
  readonly onMemberId?: (memberId: string) => void;
}

export interface JoinedGroup {
  readonly generation: number;
  readonly protocolName: string;
  readonly leaderId: string;
  readonly memberId: string;
  /** Of the leader's answer only. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

export interface GroupMemberRef {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
}

export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  /** -1: nothing committed. */
  readonly offset: bigint;
  readonly metadata: string;
}

export interface ListedOffset {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's error code of this partition; 0 is none. */
  readonly code: number;
  readonly offset: bigint;
}

export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** Timestamps that ListOffsets understands. */
export const earliestTimestamp = -2n;
export const latestTimestamp = -1n;

export class BrokerHandle {
  readonly host: string;
  readonly port: number;
  readonly #options: KafkaOptions;
  readonly #limits: LinkLimits;
  #link: BrokerLink | undefined;

  constructor(address: BrokerAddress, options: KafkaOptions, limits: LinkLimits) {
    this.host = address.host;
    this.port = address.port;
    this.#options = options;
    this.#limits = limits;
  }

  get connected(): boolean {
    return this.#link !== undefined && !this.#link.ended;
  }

  /** A request that is sent now does not wait for a connection first. */
  get isOpen(): boolean {
    return this.#link?.isOpen === true;
  }

  /** Connects, unless it is connected. Rejects with a `KafkaError`. */
  open(): Promise<void> {
    return this.#livingLink().open();
  }

  /** One request with its body's bytes, answered with the body's bytes. `timeoutMs` can only lengthen the limit. */
  send(apiKey: number, apiVersion: number, body: Buffer, timeoutMs?: number): Promise<Buffer> {
    return this.#livingLink().send({ apiKey, apiVersion, body, timeoutMs });
  }

  #livingLink(): BrokerLink {
    if (this.#link === undefined || this.#link.ended) {
      this.#link = new BrokerLink({ host: this.host, port: this.port }, this.#options, this.#limits);
    }
    return this.#link;
  }

  /** Ends the connection now; requests in flight reject. The next request connects again. */
  disconnect(why = 'connection was let go'): void {
    this.#link?.destroy(new KafkaError('transport', 'CONNECTION', why));
    this.#link = undefined;
  }

  /** Repeats itself once, with the id it was given, when the coordinator asks a new member for one. */
  async joinGroup(request: JoinRequest): Promise<JoinedGroup> {
    const first = await this.#join(request, request.memberId);
    const memberIdRequired = 79;
    if (first.code !== memberIdRequired) return joined(first, request);
    request.onMemberId?.(first.memberId);
    return joined(await this.#join(request, first.memberId), request);
  }

  async #join(request: JoinRequest, memberId: string): Promise<JoinedGroup & { readonly code: number }> {
    const body = new RequestBody()
      .string(request.groupId)
      .int32(request.sessionTimeoutMs)
      .int32(request.rebalanceTimeoutMs)
      .string(memberId)
      .string(null)
      .string('consumer')
      .array(request.protocols, (item, { name, metadata }) => item.string(name).bytes(metadata));
    const timeoutMs = request.rebalanceTimeoutMs + 5_000;
    const answer = await this.#ask(11, 5, body, timeoutMs);
    return {
      code: answer.int16(),
      generation: answer.int32(),
      protocolName: answer.string(),
      leaderId: answer.string(),
      memberId: answer.string(),
      members: answer.array((item) => {
        const id = item.string();
        item.nullableString(); // group instance id
        return { memberId: id, metadata: item.bytes() };
      }),
    };
  }

  /** Answers with the bytes of our assignment. Only the leader gives assignments. */
  async syncGroup(
    member: GroupMemberRef,
    assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[],
    timeoutMs?: number,
  ): Promise<Buffer> {
    const body = memberBody(member)
      .string(null)
      .array(assignments, (item, { memberId, assignment }) => item.string(memberId).bytes(assignment));
    const answer = await this.#ask(14, 3, body, timeoutMs);
    failOn(answer.int16(), `SyncGroup of ${member.groupId}`);
    return answer.bytes();
  }

  async heartbeat(member: GroupMemberRef): Promise<void> {
    const answer = await this.#ask(12, 3, memberBody(member).string(null));
    failOn(answer.int16(), `Heartbeat of ${member.groupId}`);
  }

  /** For any member id: whoever may read the group may send it on another member's behalf. */
  async leaveGroup(groupId: string, memberId: string): Promise<void> {
    const body = new RequestBody().string(groupId).array([memberId], (item, id) => item.string(id).string(null));
    const answer = await this.#ask(13, 3, body);
    failOn(answer.int16(), `LeaveGroup of ${groupId}`);
    for (const code of answer.array(readLeft)) failOn(code, `LeaveGroup of ${memberId}`);
  }

  /** Rejects with the first partition's error: a commit is for all or it is not done. */
  async offsetCommit(member: GroupMemberRef, offsets: readonly CommittedOffset[]): Promise<void> {
    const topics = [...byTopic(offsets)];
    const body = memberBody(member).array(topics, (item, [topic, partitions]) =>
      item
        .string(topic)
        .array(partitions, (entry, { partition, offset, metadata }) =>
          entry.int32(partition).int64(offset).string(metadata),
        ),
    );
    const answer = await this.#ask(8, 5, body);
    const results = answer.array((item) => {
      const topic = item.string();
      return item.array((entry) => ({ topic, partition: entry.int32(), code: entry.int16() }));
    });
    for (const { topic, partition, code } of results.flat()) failOn(code, `OffsetCommit of ${topic}-${partition}`);
  }

  async offsetFetch(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<CommittedOffset[]> {
    const body = new RequestBody()
      .string(groupId)
      .array([...byTopic(partitions)], (item, [topic, entries]) =>
        item.string(topic).array(entries, (entry, { partition }) => entry.int32(partition)),
      );
    const answer = await this.#ask(9, 4, body);
    const results = answer.array((item) => {
      const topic = item.string();
      return item.array((entry) => ({
        topic,
        partition: entry.int32(),
        offset: entry.int64(),
        metadata: entry.string(),
        code: entry.int16(),
      }));
    });
    failOn(answer.int16(), `OffsetFetch of ${groupId}`);
    return results.flat().map(({ code, ...committed }) => {
      failOn(code, `OffsetFetch of ${committed.topic}-${committed.partition}`);
      return committed;
    });
  }

  /** Each call gives the id's next producer epoch. Sent to the transaction coordinator of the id. */
  async initProducerId(transactionalId: string, transactionTimeoutMs = 60_000): Promise<ProducerIdentity> {
    const body = new RequestBody().string(transactionalId).int32(transactionTimeoutMs);
    const answer = await this.#ask(22, 1, body);
    failOn(answer.int16(), `InitProducerId of ${transactionalId}`);
    return { producerId: answer.int64(), producerEpoch: answer.int16() };
  }

  /** Sent to the partitions' leader. Errors are per partition. */
  async listOffsets(
    partitions: readonly { readonly topic: string; readonly partition: number; readonly timestamp: bigint }[],
  ): Promise<ListedOffset[]> {
    const body = new RequestBody()
      .int32(-1)
      .int8(0) // read_uncommitted: nothing of ours is transactional
      .array([...byTopic(partitions)], (item, [topic, entries]) =>
        item.string(topic).array(entries, (entry, { partition, timestamp }) => entry.int32(partition).int64(timestamp)),
      );
    const answer = await this.#ask(2, 3, body);
    const results = answer.array((item) => {
      const topic = item.string();
      return item.array((entry) => {
        const partition = entry.int32();
        const code = entry.int16();
        entry.int64(); // timestamp
        return { topic, partition, code, offset: entry.int64() };
      });
    });
    return results.flat();
  }

  /** A response body past its throttle time, which brokers enforce themselves. */
  async #ask(apiKey: number, apiVersion: number, body: RequestBody, timeoutMs?: number): Promise<ResponseBody> {
    const answer = new ResponseBody(await this.send(apiKey, apiVersion, body.build(), timeoutMs));
    answer.int32();
    return answer;
  }
}

function memberBody({ groupId, generation, memberId }: GroupMemberRef): RequestBody {
  return new RequestBody().string(groupId).int32(generation).string(memberId);
}

function readLeft(body: ResponseBody): number {
  body.string();
  body.nullableString();
  return body.int16();
}

function joined({ code, ...group }: JoinedGroup & { readonly code: number }, request: JoinRequest): JoinedGroup {
  failOn(code, `JoinGroup of ${request.groupId}`);
  return group;
}

function failOn(code: number, about: string): void {
  if (code !== 0) throw kafkaErrorOfCode(code, about);
}

/** Groups items by topic, in the order of their first appearance. */
function byTopic<T extends { readonly topic: string }>(items: readonly T[]): Map<string, T[]> {
  const topics = new Map<string, T[]>();
  for (const item of items) {
    const group = topics.get(item.topic);
    if (group === undefined) topics.set(item.topic, [item]);
    else group.push(item);
  }
  return topics;
}
