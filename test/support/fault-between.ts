import { type NodeAddresses } from '../../cli/embedded-kafka.ts';
import { linkTo, type Link } from './link.ts';

/**
 * Links between the nodes of an `EmbeddedKafka` (its option `between`): brokers and controllers reach each other through
 * them, clients do not. A node can be cut off from all others, in both directions, while clients go on talking to it.
 */
export class BetweenBrokers {
  /** The node that controls the cluster, by what the others ask of it; 0: none was seen. */
  controllerId = 0;
  readonly #links: { readonly nodeId: number; readonly link: Link }[] = [];

  readonly between = async (nodes: ReadonlyMap<number, NodeAddresses>): Promise<ReadonlyMap<number, NodeAddresses>> => {
    await this.close(); // of an attempt whose ports were taken
    const seenAs = new Map<number, NodeAddresses>();
    for (const [nodeId, { broker, controller }] of nodes) {
      seenAs.set(nodeId, {
        broker: await this.#link(nodeId, broker),
        controller: await this.#link(nodeId, controller),
      });
    }
    return seenAs;
  };

  /** Nothing goes to the node or comes from it, but for its clients. */
  isolate(isolated: number): void {
    for (const { nodeId, link } of this.#links) {
      if (nodeId === isolated) link.blackHole = true;
      else link.deafTo = (clientId) => nodeOf(clientId) === isolated;
    }
  }

  heal(): void {
    for (const { link } of this.#links) {
      link.deafTo = () => false;
      link.blackHole = false;
      link.mend();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.splice(0).map(({ link }) => link.close()));
  }

  async #link(nodeId: number, target: string): Promise<string> {
    const link = await linkTo(target);
    link.onRequest = (apiKey, clientId) => {
      if (apiKey === fetchKey && clientId.startsWith('raft-client')) this.controllerId = nodeId;
      if (Number.isNaN(nodeOf(clientId))) throw new Error(`no node is called ${clientId}`);
    };
    this.#links.push({ nodeId, link });
    return `${link.address.host}:${link.address.port}`;
  }
}

const fetchKey = 1;

/** The node that connects: `raft-client-2`, `broker-2-fetcher-0`, `2`. */
function nodeOf(clientId: string): number {
  return Number(/\d+/.exec(clientId)?.[0] ?? Number.NaN);
}
