/**
 * One request, asked of other instances in order until one answers well: retries that the client never sees.
 *
 *   ask the first ── failed or refused ──▶ ask the next at once
 *        └── nothing came for its hedge time ──▶ ask the next beside it; the first good answer wins, the other is aborted
 *
 * PR1. At most two are asked at once, each at most once. One request in ten may be hedged, after a burst, and any that
 *      waits for a peer found stalled: a cluster that is slow as a whole is not asked twice as much.
 * PR2. All ends by the deadline; a body that still comes by then has a little longer.
 * PR3. Silence counts while we listen: when our own event loop was late, what has come may be waiting to be read.
 * PR4. An answer older than the bound, the time since it was asked for counted in, is none.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type PeerAnswer, type PeerClient, type PeerReply, type PeerRequest } from './peer-client.ts';
import { type AttemptEnd, type PeerExperience } from './peer-experience.ts';
import { type Candidate } from './candidate.ts';

export interface RaceOptions {
  readonly client: Pick<PeerClient, 'ask'>;
  readonly experience: PeerExperience;
  readonly clock: Clock;
  readonly onAttempt: (outcome: AttemptEnd['kind']) => void;
  /** Off in the control of the tests: then only what fails is asked again elsewhere. */
  readonly hedging?: boolean;
}

export interface RaceRequest {
  readonly request: PeerRequest;
  readonly order: readonly Candidate[];
  readonly maxStalenessMs: number | null;
  readonly deadlineMs: number;
  /** The peers may wait for a cursor: one that is silent need not be stalled. */
  readonly mayWait: boolean;
}

export type RaceEnd =
  | { readonly kind: 'answer'; readonly answer: PeerAnswer; readonly attempts: number }
  | { readonly kind: 'too-large'; readonly candidate: Candidate }
  | {
      readonly kind: 'nobody';
      /** The last that said why not; `null`: nobody said anything. */
      readonly refused: Extract<PeerReply, { readonly kind: 'refused' }> | null;
      /** What each that was asked came to, for the problem document. */
      readonly told: readonly string[];
    };

interface Attempt {
  readonly candidate: Candidate;
  readonly startedMonotonicMs: number;
  readonly abort: AbortController;
  readonly end: (end: AttemptEnd) => void;
  lastByteMonotonicMs: number;
  anyBytes: boolean;
  /** Its silence was left out of account once: a loop that is always late must not keep us from asking another. */
  excused: boolean;
}

const hedgeTokensMax = 20;
const hedgeTokensPerRequest = 0.1;
/** A timer that fires later than this says that our event loop was held up. */
const lateMsMax = 20;
const activeMax = 2;
const bodyGraceMs = 10_000;
const bodyPauseMsMax = 500;
const bodyLookMs = 250;

export class PeerRaces {
  readonly options: RaceOptions;
  #hedgeTokens = hedgeTokensMax;

  constructor(options: RaceOptions) {
    this.options = options;
  }

  /** PR1. Takes a token, unless the peer is known to be worth none. */
  mayHedge(instance: string): boolean {
    if (this.options.experience.isSuspect(instance)) return true;
    if (this.#hedgeTokens < 1) return false;
    this.#hedgeTokens -= 1;
    return true;
  }

  /** Rejects when `signal` aborts. */
  run(request: RaceRequest, signal: AbortSignal): Promise<RaceEnd> {
    this.#hedgeTokens = Math.min(this.#hedgeTokens + hedgeTokensPerRequest, hedgeTokensMax);
    return new Promise((resolve, reject) => new Race(this, request, { resolve, reject, signal }).start());
  }
}

class Race {
  readonly #races: PeerRaces;
  readonly #request: RaceRequest;
  readonly #settle: { resolve(end: RaceEnd): void; reject(error: Error): void };
  readonly #signal: AbortSignal;
  readonly #active = new Set<Attempt>();
  readonly #told: string[] = [];
  readonly #startedMonotonicMs: number;
  #next = 0;
  #refused: Extract<PeerReply, { readonly kind: 'refused' }> | null = null;
  #hedgeTimer: Timer | undefined;
  #deadlineTimer: Timer | undefined;
  #ended = false;

  constructor(
    races: PeerRaces,
    request: RaceRequest,
    { signal, ...settle }: { resolve(end: RaceEnd): void; reject(error: Error): void; signal: AbortSignal },
  ) {
    this.#races = races;
    this.#request = request;
    this.#settle = settle;
    this.#signal = signal;
    this.#startedMonotonicMs = races.options.clock.monotonicMs();
  }

  start(): void {
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal.aborted) {
      this.#onAbort();
      return;
    }
    this.#armDeadline(this.#request.deadlineMs);
    this.#askNext();
  }

  readonly #onAbort = (): void => this.#finish(() => this.#settle.reject(this.#signal.reason as Error));

  #askNext(): void {
    const candidate = this.#request.order[this.#next];
    if (candidate === undefined) {
      if (this.#active.size === 0) this.#nobody();
      return;
    }
    this.#next += 1;
    const { experience, clock, client } = this.#races.options;
    const nowMonotonicMs = clock.monotonicMs();
    const attempt: Attempt = {
      candidate,
      startedMonotonicMs: nowMonotonicMs,
      abort: new AbortController(),
      end: experience.begin(candidate.instance),
      lastByteMonotonicMs: nowMonotonicMs,
      anyBytes: false,
      excused: false,
    };
    this.#active.add(attempt);
    this.#armHedge(attempt, experience.hedgeMs(candidate.instance));
    const onBytes = (): void => {
      attempt.anyBytes = true;
      attempt.lastByteMonotonicMs = clock.monotonicMs();
    };
    client.ask(candidate, this.#request.request, onBytes, attempt.abort.signal).then(
      (reply) => this.#onReply(attempt, reply),
      () => undefined, // aborted: whoever aborted it has said what it came to
    );
  }

  #onReply(attempt: Attempt, reply: PeerReply): void {
    if (this.#ended || !this.#active.delete(attempt)) return;
    const ms = this.#races.options.clock.monotonicMs() - attempt.startedMonotonicMs;
    const { instance } = attempt.candidate;
    switch (reply.kind) {
      case 'too-large':
        this.#endAttempt(attempt, { kind: 'answered', ms });
        this.#finish(() => this.#settle.resolve({ kind: 'too-large', candidate: attempt.candidate }));
        return;
      case 'answer': {
        this.#endAttempt(attempt, { kind: 'answered', ms });
        const { maxStalenessMs } = this.#request;
        if (maxStalenessMs !== null && reply.stalenessMs !== null && reply.stalenessMs > maxStalenessMs) {
          const detail = `its answer may be ${reply.stalenessMs} ms behind by now`;
          this.#giveUp(instance, { kind: 'refused', code: 'TOO_STALE', detail }); // PR4
          return;
        }
        this.#win(attempt, reply);
        return;
      }
      case 'refused':
        this.#endAttempt(attempt, { kind: 'refused', ms });
        this.#giveUp(instance, reply);
        return;
      case 'failed':
        this.#endAttempt(attempt, { kind: 'failed' });
        this.#giveUp(instance, reply);
    }
  }

  #win(attempt: Attempt, answer: PeerAnswer): void {
    for (const other of this.#active) {
      const waited = other.startedMonotonicMs <= attempt.startedMonotonicMs && !this.#request.mayWait;
      this.#drop(other, waited ? 'stalled' : 'abandoned');
    }
    this.#finish(() => this.#settle.resolve({ kind: 'answer', answer, attempts: this.#next }));
  }

  #giveUp(instance: string, reply: Extract<PeerReply, { readonly kind: 'refused' | 'failed' }>): void {
    this.#told.push(`${instance}: ${reply.detail}`);
    if (reply.kind === 'refused') this.#refused = reply;
    this.#askNext();
  }

  #armHedge(attempt: Attempt, hedgeMs: number): void {
    const { clock, hedging = true } = this.#races.options;
    this.#hedgeTimer?.cancel();
    if (!hedging) return;
    const armedMonotonicMs = clock.monotonicMs();
    this.#hedgeTimer = clock.after(hedgeMs, () => {
      if (!this.#active.has(attempt) || this.#next >= this.#request.order.length) return;
      const nowMonotonicMs = clock.monotonicMs();
      const isLate = !attempt.excused && nowMonotonicMs - armedMonotonicMs > hedgeMs + lateMsMax;
      attempt.excused ||= isLate; // PR3
      const isQuiet = nowMonotonicMs - attempt.lastByteMonotonicMs >= hedgeMs;
      const isOne = this.#active.size < activeMax; // PR1
      if (!isLate && isQuiet && isOne && this.#races.mayHedge(attempt.candidate.instance)) this.#askNext();
      else this.#armHedge(attempt, hedgeMs);
    });
  }

  /** PR2. */
  #armDeadline(ms: number): void {
    const { clock } = this.#races.options;
    this.#deadlineTimer = clock.after(ms, () => {
      const nowMonotonicMs = clock.monotonicMs();
      const spentMs = nowMonotonicMs - this.#startedMonotonicMs;
      const comes = [...this.#active].some(
        ({ anyBytes, lastByteMonotonicMs }) => anyBytes && nowMonotonicMs - lastByteMonotonicMs < bodyPauseMsMax,
      );
      if (comes && spentMs < this.#request.deadlineMs + bodyGraceMs) {
        this.#armDeadline(bodyLookMs);
        return;
      }
      for (const { candidate } of this.#active) this.#told.push(`${candidate.instance}: no answer in time`);
      for (const attempt of this.#active) this.#drop(attempt, this.#request.mayWait ? 'abandoned' : 'stalled');
      this.#nobody();
    });
  }

  #nobody(): void {
    this.#finish(() => this.#settle.resolve({ kind: 'nobody', refused: this.#refused, told: this.#told }));
  }

  #drop(attempt: Attempt, kind: 'stalled' | 'abandoned'): void {
    this.#active.delete(attempt);
    this.#endAttempt(attempt, { kind });
    attempt.abort.abort(new Error(`the request was ${kind}`));
  }

  #endAttempt(attempt: Attempt, end: AttemptEnd): void {
    attempt.end(end);
    this.#races.options.onAttempt(end.kind);
  }

  #finish(settle: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hedgeTimer?.cancel();
    this.#deadlineTimer?.cancel();
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (const attempt of this.#active) this.#drop(attempt, 'abandoned');
    settle();
  }
}
