/**
 * From a request about state to whoever answers it.
 *
 *   select ──▶ local: the route answers
 *         ├──▶ wait: until the cursor is reached here, then once more
 *         ├──▶ forward: other instances are asked (`peer-race.ts`), or the client is sent there (`Prefer: redirect`)
 *         └──▶ nobody: slots that nobody else offers are borrowed (read here for this one answer), else 503 with the reason;
 *              whoever asks while they are still being read waits for the same loan
 *
 * DV1. A request that was forwarded is answered here or refused; it is never forwarded again, and borrows nothing.
 * DV2. Never an older answer than asked for: whoever answers judges itself, and the way is added (`peer-client.ts`).
 * DV3. When all others fail and this instance may answer by now, it does.
 * DV4. What a client sent reaches a `Location` only as the path and query that it asked for.
 */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { headerText } from './header-text.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { type PeerRaces, type RaceEnd } from './peer-race.ts';
import { type StateView } from './replica.ts';
import { type Answer, type ApiRequest } from './route.ts';
import { type Candidate } from './candidate.ts';
import { type Choice, type DivertReason, select } from './select.ts';
import { type StreamAnswer } from './stream-answer.ts';
import { type StreamProxy } from './stream-proxy.ts';

/** What became of a request that this instance did not answer by itself at once. */
export const divertOutcomes = [
  'answered',
  'retried',
  'redirected',
  'local',
  'borrowed',
  'refused',
  'abandoned',
] as const;
export type DivertOutcome = (typeof divertOutcomes)[number];

export interface Requirement {
  /** Ascending. */
  readonly slots: readonly Slot[];
  readonly maxStalenessMs: number | null;
  readonly atLeast: readonly Position[];
  /** How long to wait for `atLeast`. */
  readonly waitMs: number;
  /** Device or path: requests with the same key go to the same instance. */
  readonly key: string;
}

export type Turn =
  /** The route answers; `release` is called when it has. */
  | { readonly kind: 'local'; readonly stalenessMs: number; readonly release: () => void }
  | { readonly kind: 'answer'; readonly answer: Answer };

export type StreamTurn =
  Extract<Turn, { readonly kind: 'local' }> | { readonly kind: 'answer'; readonly answer: Answer | StreamAnswer };

/** Reads slots for a while that this instance does not hold. */
export interface SlotLender {
  /** Resolves, when they have been read to their ends, with the way to give them back. Rejects when `signal` aborts. */
  borrow(slots: readonly Slot[], signal: AbortSignal): Promise<() => void>;
}

export interface DivertOptions {
  readonly zone: string;
  readonly state: Pick<StateView, 'freshness' | 'reached'>;
  readonly candidates: { all(): readonly Candidate[] };
  readonly races: Pick<PeerRaces, 'run'>;
  readonly streams: Pick<StreamProxy, 'open'>;
  /** `null`: this instance holds every slot anyway. */
  readonly lender: SlotLender | null;
  readonly clock: Clock;
  readonly metrics: Pick<QueryApiMetrics, 'diverted'>;
}

/** A forwarded request has this long where it does not say that it would wait longer. */
const forwardMsMin = 1_000;
/** What is borrowed is read, and then a marker is waited for, of which there is one a second (`replica.ts`). */
const borrowMsMin = 3_000;
/** A peer that waited for a cursor as long as it may is heard out. */
const answerGraceMs = 250;
const nothingToGiveBack = (): void => undefined;

export class Divert {
  readonly #options: DivertOptions;

  constructor(options: DivertOptions) {
    this.#options = options;
  }

  /** Throws `TOO_STALE`, `NOT_CAUGHT_UP`, `LIMIT_EXCEEDED`. */
  async turn(request: ApiRequest, requirement: Requirement): Promise<Turn> {
    const choice = await this.#chooseOrWait(request, requirement);
    switch (choice.kind) {
      case 'local':
        return { ...choice, release: nothingToGiveBack };
      case 'forward':
        return this.#forward(request, requirement, choice);
      case 'nobody':
        return this.#borrowOrRefuse(request, requirement, choice);
    }
  }

  /** As `turn`, for a stream: what others hold is passed on as it comes; what nobody offers is borrowed while it lasts. */
  async streamTurn(request: ApiRequest, slots: readonly Slot[], key: string): Promise<StreamTurn> {
    const requirement = { slots, maxStalenessMs: null, atLeast: [], waitMs: 0, key };
    const choice = this.#choose(request, requirement, { reached: true });
    if (choice.kind === 'local') {
      // What is held now may be assigned to others before the stream ends.
      const release = (await this.#options.lender?.borrow(slots, request.signal)) ?? nothingToGiveBack;
      return { ...choice, release };
    }
    if (choice.kind !== 'forward') return this.turn(request, requirement);
    const { order, reason } = choice;
    const redirect = this.#redirect(request, order, reason);
    if (redirect !== null) return { kind: 'answer', answer: redirect };
    const opened = await this.#options.streams.open(request, order, request.signal);
    if (opened.kind === 'stream') {
      this.#count(reason, opened.attempts === 1 ? 'answered' : 'retried');
      const headers = { ...opened.answer.headers, 'Holdfast-Divert': `forwarded: ${reason}` };
      return { kind: 'answer', answer: { ...opened.answer, headers } };
    }
    this.#count(reason, 'refused');
    const detail = `nobody could answer (here: ${reason}); ${opened.told.join('; ')}`;
    throw new HoldfastError('NOT_CAUGHT_UP', detail, { retryable: true, facts: { reason, asked: opened.told.length } });
  }

  /** Reads what is not held here, keeps all of `slots`, and returns the way to give them back. Throws `NOT_CAUGHT_UP`. */
  async #hold(slots: readonly Slot[], waitMs: number, signal: AbortSignal): Promise<() => void> {
    const { state, lender, clock } = this.#options;
    const missing = slots.filter((slot) => ['absent', 'incomplete'].includes(state.freshness(slot).kind));
    if (missing.length === 0) return nothingToGiveBack;
    const detail = `slot ${missing[0] ?? ''} is not held here, or not read to its end`;
    if (lender === null) throw new HoldfastError('NOT_CAUGHT_UP', detail, { retryable: true });
    const late = new AbortController();
    const timer = clock.after(waitMs, () => late.abort(new Error(`not read within ${waitMs} ms`)));
    try {
      return await lender.borrow(slots, AbortSignal.any([signal, late.signal]));
    } catch (thrown) {
      signal.throwIfAborted();
      throw new HoldfastError('NOT_CAUGHT_UP', `${detail}, and was not read within ${waitMs} ms`, {
        retryable: true,
        cause: thrown,
      });
    } finally {
      timer.cancel();
    }
  }

  async #chooseOrWait(
    request: ApiRequest,
    requirement: Requirement,
  ): Promise<Exclude<Choice, { readonly kind: 'wait' }>> {
    const { atLeast, waitMs } = requirement;
    const { state } = this.#options;
    const reached = atLeast.length === 0 || (await state.reached(atLeast, 0, request.signal));
    const choice = this.#choose(request, requirement, { reached });
    if (choice.kind !== 'wait') return choice;
    if (!(await state.reached(atLeast, waitMs, request.signal))) {
      this.#count('behind', 'refused');
      const detail = `nobody is as far as the cursor after waiting ${waitMs} ms`;
      throw new HoldfastError('TOO_STALE', detail, { retryable: true, facts: { maxWaitMs: waitMs } });
    }
    const after = this.#choose(request, requirement, { reached: true });
    if (after.kind === 'wait') throw new HoldfastError('INTERNAL', 'the cursor was reached and is not');
    return after;
  }

  #choose(request: ApiRequest, requirement: Requirement, now: { reached: boolean; alone?: true }): Choice {
    const { state, zone, candidates } = this.#options;
    const forwarded = request.header('holdfast-forwarded-by') !== undefined; // DV1
    return select(
      { ...requirement, forwarded },
      { zone, freshness: (slot) => state.freshness(slot), reached: () => now.reached },
      () => (now.alone === true ? [] : candidates.all()),
    );
  }

  async #forward(
    request: ApiRequest,
    requirement: Requirement,
    { order, reason }: Extract<Choice, { readonly kind: 'forward' }>,
  ): Promise<Turn> {
    const redirect = this.#redirect(request, order, reason);
    if (redirect !== null) return { kind: 'answer', answer: redirect };
    const end = await this.#race(request, requirement, order).catch((thrown: unknown) => {
      this.#count(reason, 'abandoned');
      throw thrown;
    });
    if (end.kind === 'answer') {
      this.#count(reason, end.attempts === 1 ? 'answered' : 'retried');
      return { kind: 'answer', answer: forwardedAnswer(end.answer, reason) };
    }
    if (end.kind === 'too-large') {
      this.#count(reason, 'refused');
      const detail = `the answer is too large to be forwarded; ask ${end.candidate.http} itself, with Prefer: redirect, or with a smaller limit`;
      throw new HoldfastError('LIMIT_EXCEEDED', detail, { facts: { http: end.candidate.http } });
    }
    return this.#afterAllFailed(request, requirement, { reason, end });
  }

  #redirect(request: ApiRequest, order: readonly Candidate[], reason: DivertReason): Answer | null {
    const [first] = order;
    const answer = first !== undefined && prefersRedirect(request) ? redirectTo(first, request.url, reason) : null;
    if (answer !== null) this.#count(reason, 'redirected');
    return answer;
  }

  #race(request: ApiRequest, requirement: Requirement, order: readonly Candidate[]): Promise<RaceEnd> {
    const { maxStalenessMs, atLeast, waitMs } = requirement;
    const mayWait = atLeast.length > 0;
    const deadlineMs = Math.max(waitMs, forwardMsMin) + answerGraceMs;
    return this.#options.races.run({ request, order, maxStalenessMs, deadlineMs, mayWait }, request.signal);
  }

  /** DV3. */
  async #afterAllFailed(
    request: ApiRequest,
    requirement: Requirement,
    { reason, end }: { reason: DivertReason; end: Extract<RaceEnd, { readonly kind: 'nobody' }> },
  ): Promise<Turn> {
    const { atLeast } = requirement;
    const reached = atLeast.length === 0 || (await this.#options.state.reached(atLeast, 0, request.signal));
    const own = this.#choose(request, requirement, { reached, alone: true });
    if (own.kind === 'local') {
      this.#count(reason, 'local');
      return { ...own, release: nothingToGiveBack };
    }
    this.#count(reason, 'refused');
    const code = end.refused?.code ?? (own.kind === 'nobody' ? own.code : 'NOT_CAUGHT_UP');
    const detail = `nobody could answer (here: ${reason}); ${end.told.join('; ')}`;
    throw new HoldfastError(code, detail, { retryable: true, facts: { reason, asked: end.told.length } });
  }

  async #borrowOrRefuse(
    request: ApiRequest,
    requirement: Requirement,
    choice: Extract<Choice, { readonly kind: 'nobody' }>,
  ): Promise<Turn> {
    const { slots, waitMs } = requirement;
    const forwarded = request.header('holdfast-forwarded-by') !== undefined;
    const canHelp = choice.reason === 'absent' || choice.reason === 'loading';
    if (!canHelp || forwarded || this.#options.lender === null) this.#refuse(choice); // DV1
    const giveBack = await this.#hold(slots, Math.max(waitMs, borrowMsMin), request.signal).catch((thrown: unknown) => {
      this.#count(choice.reason, request.signal.aborted ? 'abandoned' : 'refused');
      throw thrown;
    });
    const reached =
      requirement.atLeast.length === 0 ||
      (await this.#options.state.reached(requirement.atLeast, waitMs, request.signal).catch((thrown: unknown) => {
        giveBack();
        throw thrown;
      }));
    const own = this.#choose(request, requirement, { reached, alone: true });
    if (own.kind === 'local') {
      this.#count(choice.reason, 'borrowed');
      return { ...own, release: giveBack };
    }
    giveBack();
    this.#refuse(own.kind === 'nobody' ? own : choice);
  }

  #refuse({ code, detail, slot, reason }: Extract<Choice, { readonly kind: 'nobody' }>): never {
    this.#count(reason, 'refused');
    throw new HoldfastError(code, detail, { retryable: true, facts: { slot, reason } });
  }

  #count(reason: DivertReason, outcome: DivertOutcome): void {
    this.#options.metrics.diverted.inc({ reason, outcome });
  }
}

/** `Prefer: redirect`, among other preferences (RFC 7240). */
function prefersRedirect(request: ApiRequest): boolean {
  const preferences = request.header('prefer')?.split(',') ?? [];
  return preferences.some((preference) => preference.split(';')[0]?.trim().toLowerCase() === 'redirect');
}

/** `null`: the request or the address is nothing to make a URL of. */
function redirectTo(candidate: Candidate, url: string, reason: DivertReason): Answer | null {
  const location = `http://${candidate.http}${url}`;
  if (!url.startsWith('/') || !/^[\x21-\x7e]+$/.test(location) || !URL.canParse(location)) return null; // DV4
  if (new URL(location).host !== new URL(`http://${candidate.http}`).host) return null;
  const headers = {
    Location: location,
    'Preference-Applied': 'redirect',
    'Holdfast-Divert': `redirected: ${reason}`,
  };
  return { status: 307, body: null, headers };
}

function forwardedAnswer(
  answer: Extract<RaceEnd, { readonly kind: 'answer' }>['answer'],
  reason: DivertReason,
): Answer {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) headers[canonical(name)] = headerText(value);
  if (answer.stalenessMs !== null) headers['Holdfast-Age-Ms'] = String(answer.stalenessMs); // DV2
  headers['Holdfast-Divert'] = `forwarded: ${reason}`;
  return { status: answer.status, body: answer.body, contentType: answer.contentType, headers };
}

/** As our own answers spell it: `Holdfast-Served-By`. */
function canonical(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_whole, dash: string, letter: string) => dash + letter.toUpperCase());
}
