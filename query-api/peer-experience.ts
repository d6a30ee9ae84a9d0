/**
 * What we met when we forwarded to other instances: how fast they answer, and which of them failed us lately.
 *
 *   ok ── failed or stalled ──▶ suspect ── pause over ──▶ one request tries it ── answered ──▶ ok
 *                                  ▲───────────── failed or stalled: twice the pause ──┘
 *
 * PE1. A suspect is not shut out: it is asked when nobody else can be. One bad moment of all peers refuses nothing.
 * PE2. After its pause one request tries it, not all that wait: an instance that comes back is not run over.
 * PE3. What a peer refuses by its own judgement (too stale, not caught up) is an answer, and no failure of the peer.
 */
import { type Clock } from '../core/clock.ts';

export type AttemptEnd =
  | { readonly kind: 'answered'; readonly ms: number }
  /** It says that it cannot (PE3). */
  | { readonly kind: 'refused'; readonly ms: number }
  /** Connection refused or reset, or what came is no answer of an instance of ours. */
  | { readonly kind: 'failed' }
  /** Another instance that was asked later answered first. */
  | { readonly kind: 'stalled' }
  /** Nobody waits for it any more; nothing learnt. */
  | { readonly kind: 'abandoned' };

interface Peer {
  inFlight: number;
  /** Of the last answers, ms. */
  readonly latenciesMs: number[];
  suspicion:
    { readonly kind: 'none' } | { readonly kind: 'pausing' | 'trying'; untilMonotonicMs: number; pauseMs: number };
}

const latenciesKept = 64;
/** Fewer say nothing about a 95th percentile. */
const latenciesMin = 16;
const hedgeMsMin = 50;
const hedgeMsMax = 250;
const hedgeFactor = 3;
const pauseMsMin = 2_000;
const pauseMsMax = 10_000;
const peersMax = 256;

export class PeerExperience {
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  inFlight(instance: string): number {
    return this.#peers.get(instance)?.inFlight ?? 0;
  }

  isSuspect(instance: string): boolean {
    const suspicion = this.#peers.get(instance)?.suspicion;
    if (suspicion === undefined || suspicion.kind === 'none') return false;
    return suspicion.kind === 'trying' || this.#clock.monotonicMs() < suspicion.untilMonotonicMs; // PE2
  }

  /** ms without a byte from it after which the next instance is asked beside it. */
  hedgeMs(instance: string): number {
    const latenciesMs = this.#peers.get(instance)?.latenciesMs ?? [];
    if (latenciesMs.length < latenciesMin) return hedgeMsMax;
    const sorted = latenciesMs.toSorted((a, b) => a - b);
    const p95Ms = sorted[Math.floor(sorted.length * 0.95)] ?? hedgeMsMax;
    return Math.min(Math.max(hedgeMsMin, hedgeFactor * p95Ms), hedgeMsMax);
  }

  /** Returns what to call once when the attempt has ended. */
  begin(instance: string): (end: AttemptEnd) => void {
    const peer = this.#peer(instance);
    peer.inFlight += 1;
    const trial = peer.suspicion.kind === 'pausing' && !this.isSuspect(instance);
    if (peer.suspicion.kind === 'pausing' && trial) peer.suspicion = { ...peer.suspicion, kind: 'trying' }; // PE2
    let ended = false;
    return (end) => {
      if (ended) return;
      ended = true;
      peer.inFlight -= 1;
      this.#end(peer, end, trial);
    };
  }

  #end(peer: Peer, end: AttemptEnd, trial: boolean): void {
    switch (end.kind) {
      case 'answered':
      case 'refused':
        peer.latenciesMs.push(end.ms);
        if (peer.latenciesMs.length > latenciesKept) peer.latenciesMs.shift();
        // An answer to what was asked before the failure says nothing about after it, but for the trial's own.
        if (trial || peer.suspicion.kind === 'none') peer.suspicion = { kind: 'none' };
        return;
      case 'failed':
      case 'stalled':
        this.#suspect(peer, trial);
        return;
      case 'abandoned':
        if (trial && peer.suspicion.kind === 'trying') peer.suspicion = { ...peer.suspicion, kind: 'pausing' };
    }
  }

  #suspect(peer: Peer, trial: boolean): void {
    const { suspicion } = peer;
    if (suspicion.kind !== 'none' && !trial) return; // those that were on their way fail one after another
    const pauseMs = suspicion.kind === 'none' ? pauseMsMin : Math.min(suspicion.pauseMs * 2, pauseMsMax);
    peer.suspicion = { kind: 'pausing', untilMonotonicMs: this.#clock.monotonicMs() + pauseMs, pauseMs };
  }

  #peer(instance: string): Peer {
    let peer = this.#peers.get(instance);
    if (peer === undefined) {
      // Names of instances come and go with every deployment: the eldest that nothing waits for is forgotten.
      const eldest = [...this.#peers].find(([, { inFlight }]) => inFlight === 0);
      if (this.#peers.size >= peersMax && eldest !== undefined) this.#peers.delete(eldest[0]);
      peer = { inFlight: 0, latenciesMs: [], suspicion: { kind: 'none' } };
      this.#peers.set(instance, peer);
    }
    return peer;
  }
}
