import { type Clock } from '../clock.ts';
import { type ListenAddress, parseListenAddress } from '../listen-address.ts';
import { type Logger } from '../logger.ts';
import { type Random } from '../random.ts';
import { NudgeLimit, nudgeRate } from './nudge.ts';
import { PeerServer } from './peer-server.ts';
import { type PeerEvidence, PeerWatch } from './peer-watch.ts';
import { type Peer, type PeerListener, type Peers } from './peers.ts';

/**
 * The peers over TCP: one listener for all who watch us (`peer-server.ts`), one watch for each process we watch
 * (`peer-watch.ts`), and the nudges that travel on their connections.
 *
 * PT1. After `stop` was called nobody is told anything.
 * PT2. Watches end before the listener does: while we are there, others see us.
 */
export interface TcpPeersOptions {
  /** Checked listen setting. */
  readonly listen: string;
  readonly advertisedHost: string;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface PeerCounters {
  /** Processes whose crash would be noticed at this moment. */
  watched(): number;
  /** Connections that had named their peer and ended. */
  readonly ended: number;
  readonly gone: number;
  /** Rounds of nudges, however many connections there were. */
  readonly nudgesSent: number;
  /** Those that were passed on. */
  readonly nudgesReceived: number;
}

const watchedMax = 256;

export class TcpPeers implements Peers {
  readonly #options: TcpPeersOptions;
  readonly #server: PeerServer;
  readonly #watches = new Map<string, PeerWatch>();
  /** Until their sockets are closed. */
  readonly #running = new Set<Promise<void>>();
  readonly #sending: NudgeLimit;
  readonly #hearing: NudgeLimit;
  readonly #counters = { watched: () => this.#countWatched(), ended: 0, gone: 0, nudgesSent: 0, nudgesReceived: 0 };
  #listener: PeerListener | null = null;
  #stopping: Promise<void> | undefined;

  constructor(options: TcpPeersOptions) {
    const { listen, advertisedHost, incarnation, clock, logger } = options;
    this.#options = options;
    this.#sending = new NudgeLimit(nudgeRate, clock);
    this.#hearing = new NudgeLimit(nudgeRate, clock);
    const onNudge = (): void => this.#heard();
    this.#server = new PeerServer({ listen, advertisedHost, incarnation, clock, logger, onNudge });
  }

  get address(): string {
    return this.#server.address;
  }

  get counters(): PeerCounters {
    return this.#counters;
  }

  start(listener: PeerListener): Promise<void> {
    if (this.#stopping !== undefined) return Promise.resolve();
    this.#listener = listener;
    return this.#server.start();
  }

  identify(memberId: string): void {
    this.#server.identify(memberId);
  }

  /** What has no address is left out, and so is what goes beyond 256. */
  watch(peers: readonly Peer[]): void {
    if (this.#stopping !== undefined) return;
    const wanted = new Map<string, () => PeerWatch>();
    for (const peer of peers) {
      const endpoint = endpointOf(peer.address);
      if (endpoint === null || wanted.size >= watchedMax) continue;
      const key = JSON.stringify([peer.memberId, peer.incarnation, peer.address]);
      wanted.set(key, () => this.#newWatch(peer, endpoint.host, endpoint.port));
    }
    for (const [key, watch] of this.#watches) {
      if (wanted.has(key)) continue;
      this.#watches.delete(key);
      watch.close();
    }
    for (const [key, create] of wanted) if (!this.#watches.has(key)) this.#begin(key, create());
  }

  nudge(): void {
    if (this.#stopping !== undefined || !this.#sending.spend(1)) return;
    this.#counters.nudgesSent += 1;
    this.#server.nudge();
    for (const watch of this.#watches.values()) watch.nudge();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#listener = null; // PT1
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    await Promise.all(this.#running);
    await this.#server.stop(); // PT2
  }

  #newWatch(peer: Peer, host: string, port: number): PeerWatch {
    const { clock, random } = this.#options;
    const { memberId, incarnation } = peer;
    return new PeerWatch({
      memberId,
      incarnation,
      host,
      port,
      clock,
      random,
      onGone: (evidence) => this.#gone(peer, evidence),
      onEnded: () => void (this.#counters.ended += 1),
      onNudge: () => this.#heard(),
    });
  }

  #begin(key: string, watch: PeerWatch): void {
    this.#watches.set(key, watch);
    const running = watch.run().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #gone(peer: Peer, evidence: PeerEvidence): void {
    if (this.#listener === null) return;
    this.#counters.gone += 1;
    this.#options.logger.info({ memberId: peer.memberId, address: peer.address, evidence }, 'peer process gone');
    this.#listener.gone(peer.memberId);
  }

  #heard(): void {
    if (this.#listener === null || !this.#hearing.spend(1)) return;
    this.#counters.nudgesReceived += 1;
    this.#listener.nudged();
  }

  #countWatched(): number {
    return [...this.#watches.values()].filter(({ counts }) => counts).length;
  }
}

/** Where to connect; null for what is no address. It comes from another worker's report, so it may be anything. */
function endpointOf(address: string): { readonly host: string; readonly port: number } | null {
  let parsed: ListenAddress;
  try {
    parsed = parseListenAddress(address);
  } catch {
    return null;
  }
  return parsed.host === undefined || parsed.port === 0 ? null : { host: parsed.host, port: parsed.port };
}
