import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { type Random } from '../random.ts';
import { PeerConnection, type PeerConnectionEnd } from './peer-connection.ts';
import { type PeerLine } from './peer-line.ts';

/**
 * Watches one process: keeps a connection to its listener, and says `gone` when there is evidence that it died.
 *
 * connect ─▶ line names the peer: the connection counts ─▶ it ends ─▶ inquiry: reconnect to the same IP, for 250 ms
 *    ▲                                                                  │ refused, or another incarnation answers: gone
 *    └────────────────────────── back-off ◀─────────────────────────────┘ anything else: go on watching
 *
 * PW1. `gone` needs a connection that counted, that is, had named this incarnation and this member id, and its end; and
 *      then, within an inquiry, a refusal or another incarnation (O13). No timeout, silence or error is either of them.
 * PW2. An inquiry goes to the IP address of the connection that ended: what a name or another address says is no evidence.
 * PW3. `gone` is said once, and afterwards the watch does nothing.
 */
export interface PeerWatchOptions {
  readonly memberId: string;
  readonly incarnation: string;
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onGone: (evidence: PeerEvidence) => void;
  /** A connection that counted ended, for whatever reason. */
  readonly onEnded: () => void;
  readonly onNudge: () => void;
}

/** The second piece of it: the address refuses, or somebody else answers there. */
export type PeerEvidence = 'refused' | 'other-incarnation';

/** What may follow the end of a connection that counted. */
interface Inquiry {
  readonly ip: string;
  readonly untilMs: number;
}

/** A dying process may close its listener last: the kernel closes descriptors in an order of its own. */
const inquiryMs = 250;
const inquiryPauseMs = 15;
/** What ends sooner does not reset the back-off: a peer that names itself and hangs up would be dialled without a pause. */
const heldMs = 1_000;

export class PeerWatch {
  readonly #options: PeerWatchOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff({ initialMs: 100, maxMs: 5_000, factor: 2, jitter: 0.5 });
  #connection: PeerConnection | undefined;
  #counts = false;
  #inquiredAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: PeerWatchOptions) {
    this.#options = options;
  }

  /** A crash would be noticed: the open connection has named the peer. */
  get counts(): boolean {
    return this.#counts;
  }

  /** Watches until `gone` was said or `close` is called, and resolves when the socket is closed. To be called once. */
  async run(): Promise<void> {
    const { clock } = this.#options;
    let inquiry: Inquiry | null = null;
    for (;;) {
      const begunAtMs = clock.monotonicMs();
      const { end, counted } = await this.#connect(inquiry);
      if (this.#closed()) return;
      if (inquiry !== null && end.kind === 'refused') {
        this.#sayGone('refused'); // PW1
        return;
      }
      if (end.kind === 'ended' && clock.monotonicMs() - begunAtMs >= heldMs) this.#backoff.reset();
      const begins = counted && end.kind === 'ended';
      if (begins) inquiry = { ip: end.ip, untilMs: clock.monotonicMs() + inquiryMs };
      await this.#pause(begins ? 'begin' : inquiry === null ? 'watch' : 'inquire');
      if (this.#closed()) return;
      if (inquiry !== null && clock.monotonicMs() >= inquiry.untilMs) inquiry = null;
    }
  }

  nudge(): void {
    this.#connection?.nudge();
  }

  /** Idempotent; from here on nothing is said. */
  close(): void {
    this.#stop.abort();
  }

  async #connect(inquiry: Inquiry | null): Promise<{ readonly end: PeerConnectionEnd; readonly counted: boolean }> {
    const { host, port, clock, onNudge, onEnded } = this.#options;
    this.#connection = new PeerConnection({
      host: inquiry?.ip ?? host, // PW2
      port,
      clock,
      onLine: (line) => this.#judge(line, inquiry),
      onNudge: () => {
        if (!this.#closed()) onNudge();
      },
    });
    const end = await this.#connection.run(this.#stop.signal);
    const counted = this.#counts;
    this.#connection = undefined;
    this.#counts = false;
    if (counted && !this.#closed()) onEnded();
    return { end, counted };
  }

  /** Another member id of the same process does not count, nor does another process outside an inquiry: wait for its end. */
  #judge(line: PeerLine, inquiry: Inquiry | null): void {
    const { incarnation, memberId, clock } = this.#options;
    if (line.incarnation === incarnation) {
      this.#counts = line.memberId === memberId; // PW1
      return;
    }
    if (inquiry !== null && clock.monotonicMs() < inquiry.untilMs) this.#sayGone('other-incarnation');
  }

  /** Before the next attempt: the first of an inquiry is made at once, unless the last one has only just begun. */
  async #pause(what: 'watch' | 'begin' | 'inquire'): Promise<void> {
    const { clock, random } = this.#options;
    const nowMs = clock.monotonicMs();
    const atOnce = what === 'begin' && nowMs - this.#inquiredAtMs >= heldMs;
    if (what === 'begin') this.#inquiredAtMs = nowMs;
    if (atOnce) return;
    const pauseMs = what === 'inquire' ? inquiryPauseMs : this.#backoff.nextMs(random);
    await clock.sleep(pauseMs, this.#stop.signal).catch(() => undefined); // it rejects when closed
  }

  #closed(): boolean {
    return this.#stop.signal.aborted;
  }

  #sayGone(evidence: PeerEvidence): void {
    this.close(); // PW3
    this.#options.onGone(evidence);
  }
}
