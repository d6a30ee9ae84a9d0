/**
 * The other workers' processes, seen directly: a port, because two things stand behind it, TCP (`tcp-peers.ts`) and the
 * simulation. It brings evidence and hurry, never state: everything is right without it.
 *
 * PP1. `gone` is said of a member only with both pieces of evidence: its connection ended, and a new one to the same address
 *      is refused, or answered by another incarnation (O13). A timeout, silence or an unreachable host proves nothing.
 * PP2. A nudge asks for a heartbeat now. It is no evidence and changes no state.
 */
export interface Peer {
  readonly memberId: string;
  readonly incarnation: string;
  /** host:port of its listener; empty: it has none, and is not watched. */
  readonly address: string;
}

export interface PeerListener {
  gone(memberId: string): void;
  nudged(): void;
}

export interface Peers {
  /** host:port for others, once started; empty: nobody can watch us. */
  readonly address: string;
  /** Resolves when the address is known. A listener that cannot be opened leaves it empty and is told in the log. */
  start(listener: PeerListener): Promise<void>;
  /** Our member id, which the watchers of this process are told; those that were told another one are let go. */
  identify(memberId: string): void;
  /** Exactly these processes are watched from now on. */
  watch(peers: readonly Peer[]): void;
  /** One byte to every process we have a connection with, in either direction; rate-limited. */
  nudge(): void;
  /** The listener is closed last of all: until then we are there. */
  stop(): Promise<void>;
}

/** Nobody is watched, and nobody watches: crashes are noticed by the session timeout. */
export const noPeers: Peers = {
  address: '',
  start: () => Promise.resolve(),
  identify: () => undefined,
  watch: () => undefined,
  nudge: () => undefined,
  stop: () => Promise.resolve(),
};
