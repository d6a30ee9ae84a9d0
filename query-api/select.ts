/**
 * Who answers a request. Pure: from the slots a request needs and what each instance says about them to a choice.
 *
 * S1. An instance answers only when it holds every slot of the request and has read each to its end.
 * S2. A value older than the request's bound is never passed off as new: an unknown or estimated staleness fails it.
 *
 * Every instance holds every slot for now, so the only candidate is the one that was asked.
 */
import { type Slot } from '../schemas/slot.ts';

/** How far an instance may be behind in one slot. */
export type SlotFreshness =
  /** Not read to its end yet, or nothing has ever written it: an answer would lack leaves without saying so. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  /** Read to the end of the log, but no marker was seen live: the age is a guess across two machines' clocks. */
  | { readonly kind: 'estimated'; readonly stalenessMs: number }
  | { readonly kind: 'known'; readonly stalenessMs: number };

export interface Candidate {
  readonly instance: string;
  /** The instance that received the request. */
  readonly local: boolean;
  freshness(slot: Slot): SlotFreshness;
}

export interface SelectRequest {
  readonly slots: readonly Slot[];
  /** `null`: any age that the answer states. */
  readonly maxStalenessMs: number | null;
}

export type Choice =
  | { readonly kind: 'local'; readonly stalenessMs: number }
  | {
      readonly kind: 'nobody';
      readonly code: 'TOO_STALE' | 'NOT_CAUGHT_UP';
      readonly detail: string;
      readonly slot: Slot;
    };

export function select(request: SelectRequest, candidates: readonly Candidate[]): Choice {
  const local = candidates.find((candidate) => candidate.local);
  if (local === undefined) throw new Error('the instance that was asked is always a candidate');
  const boundMs = request.maxStalenessMs ?? Number.POSITIVE_INFINITY;
  let stalenessMs = 0;
  for (const slot of request.slots) {
    const freshness = local.freshness(slot);
    if (freshness.kind === 'incomplete') {
      return { kind: 'nobody', code: 'NOT_CAUGHT_UP', detail: `slot ${slot}: ${freshness.reason}`, slot }; // S1
    }
    const unproven = request.maxStalenessMs !== null && freshness.kind === 'estimated';
    if (unproven || freshness.stalenessMs > boundMs) {
      const age = `${Math.ceil(freshness.stalenessMs)} ms${unproven ? ' or more' : ''}`;
      const detail = `slot ${slot} may be ${age} behind, more than the ${boundMs} ms asked for`;
      return { kind: 'nobody', code: 'TOO_STALE', detail, slot }; // S2
    }
    stalenessMs = Math.max(stalenessMs, freshness.stalenessMs);
  }
  return { kind: 'local', stalenessMs: Math.ceil(stalenessMs) };
}
