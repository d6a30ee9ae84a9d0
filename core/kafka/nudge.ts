import { type Socket } from 'node:net';
import { type Clock } from '../clock.ts';

/**
 * A nudge is one byte, whatever its value, on a connection that carries nothing else after the peer's line; and how many
 * of them, and how many bytes, one process takes or gives in a period.
 */
const nudgeByte = Buffer.from('.');

/** Of a peer that stopped reading no more than this is kept; the nudges beyond it are dropped, as any nudge may be. */
const unsentBytesMax = 16;

export function sendNudge(socket: Socket): void {
  if (!socket.connecting && socket.writable && socket.writableLength < unsentBytesMax) socket.write(nudgeByte);
}

/** Whoever starts a rebalance nudges once; more than this has no use, and every one received costs a heartbeat. */
export const nudgeRate: NudgeRate = { amount: 1, periodMs: 50 };

/** What a connection may send after its line: 25 times what `nudgeRate` allows, so that a backlog of nudges passes. */
export const nudgeByteRate: NudgeRate = { amount: 512, periodMs: 1_000 };

export interface NudgeRate {
  readonly amount: number;
  readonly periodMs: number;
}

export class NudgeLimit {
  readonly #rate: NudgeRate;
  readonly #clock: Clock;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #spent = 0;

  constructor(rate: NudgeRate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** False: this is more than the rate allows. */
  spend(amount: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#sinceMs >= this.#rate.periodMs) {
      this.#sinceMs = nowMs;
      this.#spent = 0;
    }
    this.#spent += amount;
    return this.#spent <= this.#rate.amount;
  }
}
