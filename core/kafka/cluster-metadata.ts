import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

/** What a cluster said about itself: brokers, and who leads which partition. Metadata v6. */
export interface PartitionMetadata {
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly code: number;
  /** Node id; -1: none at present. */
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface TopicMetadata {
  readonly topic: string;
  /** Kafka's error code; 3 is UNKNOWN_TOPIC_OR_PARTITION. */
  readonly code: number;
  readonly partitions: readonly PartitionMetadata[];
}

export interface BrokerNode {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

interface MetadataAnswer {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly nodes: readonly BrokerNode[];
  readonly topics: readonly TopicMetadata[];
}

/** `null` asks for every topic, `[]` for none. Never creates a topic. */
export function writeMetadataRequest(topics: readonly string[] | null): Buffer {
  const body = new RequestBody();
  if (topics === null) body.int32(-1);
  else body.array(topics, (item, topic) => item.string(topic));
  return body.boolean(false).build();
}

export function readMetadata(bytes: Buffer): MetadataAnswer {
  const body = new ResponseBody(bytes);
  body.int32(); // throttle time
  const nodes = body.array((item) => {
    const node = { nodeId: item.int32(), host: item.string(), port: item.int32() };
    item.nullableString(); // rack
    return node;
  });
  return { nodes, clusterId: body.string(), controllerId: body.int32(), topics: body.array(readTopic) };
}

function readTopic(item: ResponseBody): TopicMetadata {
  const code = item.int16();
  const topic = item.string();
  item.boolean(); // internal
  return { code, topic, partitions: item.array(readPartition) };
}

function readPartition(item: ResponseBody): PartitionMetadata {
  const nodeIds = (): number[] => item.array((entry) => entry.int32());
  const found = {
    code: item.int16(),
    partition: item.int32(),
    leader: item.int32(),
    replicas: nodeIds(),
    inSync: nodeIds(),
  };
  nodeIds(); // offline
  return found;
}

/** The latest answers, merged: topics that an answer does not name keep what was known of them. */
export class ClusterMetadata {
  #nodes: readonly BrokerNode[] = [];
  readonly #topics = new Map<string, TopicMetadata>();
  #clusterId = '';
  #controllerId = -1;

  get clusterId(): string {
    return this.#clusterId;
  }

  get controllerId(): number {
    return this.#controllerId;
  }

  apply(answer: MetadataAnswer): void {
    this.#nodes = answer.nodes;
    this.#clusterId = answer.clusterId;
    this.#controllerId = answer.controllerId;
    for (const topic of answer.topics) {
      if (topic.code === 0) this.#topics.set(topic.topic, topic);
      else this.#topics.delete(topic.topic);
    }
  }

  nodes(): readonly BrokerNode[] {
    return this.#nodes;
  }

  nodeIds(): number[] {
    return this.#nodes.map(({ nodeId }) => nodeId);
  }

  node(nodeId: number): BrokerNode | undefined {
    return this.#nodes.find((node) => node.nodeId === nodeId);
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  leaderOf(topic: string, partition: number): number | undefined {
    const found = this.#topics.get(topic)?.partitions.find((entry) => entry.partition === partition);
    // A leader that was just fenced may be named and not be listed any more: there is nobody to send to.
    return found === undefined || this.node(found.leader) === undefined ? undefined : found.leader;
  }
}
