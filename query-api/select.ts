/**
 * Who answers a request. Pure: from the slots a request needs and what each instance says about them to a choice.
 *
 * S1. An instance answers only when it holds every slot of the request and has read each to its end.
 * S2. A value older than the request's bound is never passed off as new: an unknown or estimated staleness fails it.
 *     What others report is older than what they hold, so it only ranks them: whoever answers judges itself once more.
 * S3. The instance that was asked answers when it may: a hop is never the better answer.
 * S4. A request that was forwarded once is not forwarded again, so it cannot go round in circles.
 *
 * In which order others are asked is `rank.ts`.
 */
import { comparePositions, type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type Candidate } from './candidate.ts';
import { rank } from './rank.ts';
import { type SlotFreshness } from './slot-freshness.ts';

/** Why the instance that was asked does not answer by itself. */
export const divertReasons = ['absent', 'loading', 'stale', 'behind'] as const;
export type DivertReason = (typeof divertReasons)[number];

/** What the instance that was asked knows of its own slots. */
export interface LocalSlots {
  readonly zone: string;
  freshness(slot: Slot): SlotFreshness;
  /** Everything up to the position has been applied. */
  reached(position: Position): boolean;
}

export interface SelectRequest {
  readonly slots: readonly Slot[];
  /** `null`: any age that the answer states. */
  readonly maxStalenessMs: number | null;
  /** Positions, of these slots, that the answer has to include. */
  readonly atLeast: readonly Position[];
  /** Requests with the same key go to the same instance while that can be. */
  readonly key: string;
  readonly forwarded: boolean;
}

export type Choice =
  | { readonly kind: 'local'; readonly stalenessMs: number }
  /** Nobody has said that it is as far as `atLeast`; we are as likely as any to get there soon. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'forward'; readonly order: readonly Candidate[]; readonly reason: DivertReason }
  | {
      readonly kind: 'nobody';
      readonly code: 'TOO_STALE' | 'NOT_CAUGHT_UP';
      readonly reason: DivertReason;
      readonly detail: string;
      readonly slot: Slot;
    };

/** `others` is asked only when the local instance may not answer. */
export function select(request: SelectRequest, local: LocalSlots, others: () => readonly Candidate[]): Choice {
  const own = judgeLocal(request, local);
  if (own.kind === 'local') return own; // S3
  const { reason } = own;
  const order = request.forwarded ? [] : orderOf(request, local.zone, reason, others()); // S4
  if (order.length > 0) return { kind: 'forward', order, reason };
  return reason === 'behind' ? { kind: 'wait' } : own;
}

type LocalJudgement = Extract<Choice, { readonly kind: 'local' | 'nobody' }>;

function judgeLocal(request: SelectRequest, local: LocalSlots): LocalJudgement {
  const boundMs = request.maxStalenessMs ?? Number.POSITIVE_INFINITY;
  let stalenessMs = 0;
  for (const slot of request.slots) {
    const freshness = local.freshness(slot);
    const nobody = { kind: 'nobody', slot } as const;
    if (freshness.kind === 'absent') {
      const detail = `slot ${slot} is not held here, and no instance that answers holds all that is asked for`;
      return { ...nobody, code: 'NOT_CAUGHT_UP', reason: 'absent', detail }; // S1
    }
    if (freshness.kind === 'incomplete') {
      return { ...nobody, code: 'NOT_CAUGHT_UP', reason: 'loading', detail: `slot ${slot}: ${freshness.reason}` }; // S1
    }
    const unproven = request.maxStalenessMs !== null && freshness.kind === 'estimated';
    if (unproven || freshness.stalenessMs > boundMs) {
      const age = `${Math.ceil(freshness.stalenessMs)} ms${unproven ? ' or more' : ''}`;
      const detail = `slot ${slot} may be ${age} behind, more than the ${boundMs} ms asked for`;
      return { ...nobody, code: 'TOO_STALE', reason: 'stale', detail }; // S2
    }
    stalenessMs = Math.max(stalenessMs, freshness.stalenessMs);
  }
  const ahead = request.atLeast.find((position) => !local.reached(position));
  if (ahead === undefined) return { kind: 'local', stalenessMs: Math.ceil(stalenessMs) };
  const detail = `slot ${ahead.slot} is not as far as the cursor`;
  return { kind: 'nobody', code: 'TOO_STALE', reason: 'behind', detail, slot: ahead.slot };
}

/**
 * Whoever reports all that is wanted comes first. The others may have come so far since their reports, which are a second
 * apart, and say themselves whether they have: worth a question where we hold nothing; where we are behind ourselves,
 * they read the same log.
 */
function orderOf(
  request: SelectRequest,
  zone: string,
  reason: DivertReason,
  others: readonly Candidate[],
): readonly Candidate[] {
  const holders = others.filter((one) => request.slots.every((slot) => one.report(slot) !== undefined)); // S1
  const sure = new Set(holders.filter((one) => saysEnough(request, one)));
  const ownerless = reason === 'absent' || reason === 'loading';
  const tierOf = (one: Candidate): number | null => (sure.has(one) ? 0 : ownerless ? 1 : null);
  return rank(holders, { key: request.key, zone, tierOf });
}

function saysEnough(request: SelectRequest, candidate: Candidate): boolean {
  const boundMs = request.maxStalenessMs ?? Number.POSITIVE_INFINITY;
  return (
    request.slots.every((slot) => (candidate.report(slot)?.stalenessMs ?? Number.POSITIVE_INFINITY) <= boundMs) &&
    request.atLeast.every((position) => {
      const report = candidate.report(position.slot);
      return report !== undefined && comparePositions({ slot: position.slot, ...report }, position) >= 0;
    })
  );
}
