import { type Slot } from '../../schemas/slot.ts';

/**
 * The state machine of one slot in one worker. Pure; `slot-driver.ts` performs the effects.
 *
 *   none → assigned → acquiring → active → releasing → none
 *                  lease or membership lost, or a higher epoch seen: lost → none
 *
 * *mine* = the latest adopted plan names this worker owner.
 *
 * SL1. A slot is held, and reported, from the moment its OffsetCommit is sent: whatever becomes of the answer, a release
 *      is owed for that epoch (O12).
 * SL2. Sessions open only after `acquired`: marker and `held` are both acked (O4).
 * SL3. The release is written only after everything of the slot is closed and acked or refused (O11); a slot is no
 *      longer held only once its release is acked.
 * SL4. A lost slot is silent at once, and free again only when its last session is gone.
 */
export interface SlotStates {
  readonly none: object;
  /** Ours by the plan, not begun. */
  readonly assigned: object;
  /** `epoch` null: the commit was not sent yet. */
  readonly acquiring: { readonly epoch: bigint | null };
  readonly active: { readonly epoch: bigint };
  /** `writing`: everything is closed, the release is on its way. */
  readonly releasing: { readonly epoch: bigint; readonly mine: boolean; readonly stage: 'flushing' | 'writing' };
  /** `owedEpoch`: the plan waits for our release of that epoch. */
  readonly lost: { readonly mine: boolean; readonly owedEpoch: bigint | null };
}
export type SlotKind = keyof SlotStates;
export type SlotState = { [K in SlotKind]: { readonly kind: K } & SlotStates[K] }[SlotKind];

export interface SlotEvents {
  readonly 'plan-mine': object;
  readonly 'plan-other': object;
  /** The plan names us prev of this slot: somebody waits for our release of an epoch ≥ `prevEpoch`. */
  readonly 'plan-prev': { readonly prevEpoch: bigint };
  /** The start rule holds. */
  readonly startable: object;
  readonly freeze: object;
  /** The OffsetCommit with this epoch is being sent. */
  readonly 'commit-sent': { readonly epoch: bigint };
  readonly claimed: object;
  /** `uncertain`: an earlier copy of the commit went unanswered and may have been accepted. */
  readonly 'claim-refused': { readonly uncertain: boolean };
  readonly acquired: object;
  readonly 'producer-fenced': object;
  /** A record of this slot with a higher epoch than ours. */
  readonly displaced: { readonly epoch: bigint };
  /** Closed, and every batch acked or refused; null: the last seq is not known. */
  readonly flushed: { readonly lastSeq: bigint | null };
  readonly 'release-acked': object;
  /** Lease or membership is gone. */
  readonly drop: object;
  /** The last session of the slot is gone. */
  readonly closed: object;
  /** No progress for too long: let somebody else try. */
  readonly stuck: object;
}
export type SlotEventKind = keyof SlotEvents;
export type SlotEvent = { [K in SlotEventKind]: { readonly kind: K } & SlotEvents[K] }[SlotEventKind];

export type SlotEffect =
  /** OffsetFetch, then `commit-sent` and OffsetCommit. */
  | { readonly kind: 'claim' }
  | { readonly kind: 'cancel-claim' }
  /** InitProducerId, marker and `held`. */
  | { readonly kind: 'begin'; readonly epoch: bigint }
  | { readonly kind: 'activate' }
  /** Finish what is begun, close, flush; ends in `flushed`. */
  | { readonly kind: 'release' }
  | { readonly kind: 'write-release'; readonly epoch: bigint; readonly lastSeq: bigint | null }
  /** Destroy the sockets, discard and count open batches; ends in `closed`. */
  | { readonly kind: 'drop' }
  | { readonly kind: 'want-rebalance' };

export interface SlotStep {
  readonly state: SlotState;
  readonly effects: readonly SlotEffect[];
}
type StateOf<K extends SlotKind> = Extract<SlotState, { kind: K }>;
type EventOf<K extends SlotEventKind> = Extract<SlotEvent, { kind: K }>;
type Cell<S extends SlotKind, E extends SlotEventKind> = (state: StateOf<S>, event: EventOf<E>) => SlotStep;

const none: SlotState = { kind: 'none' };
const assigned: SlotState = { kind: 'assigned' };
const to = (state: SlotState, ...effects: SlotEffect[]): SlotStep => ({ state, effects });
const stay = (state: SlotState): SlotStep => ({ state, effects: [] });
const never = (state: SlotState, event: SlotEvent): SlotStep => {
  throw new Error(`event ${event.kind} cannot happen to a slot that is ${state.kind}`);
};
const rest = (mine: boolean): SlotState => (mine ? assigned : none);
/** What a plan waits for of a slot that we do not hold: nothing was sent, so the release is true as it stands. */
const writeOwed = (epoch: bigint): SlotEffect => ({ kind: 'write-release', epoch, lastSeq: null });

/** An acquisition whose commit was not sent leaves nothing behind (SL1). */
const letGo = (state: StateOf<'acquiring' | 'active'>, mine: boolean): SlotStep =>
  state.epoch === null
    ? to(rest(mine), { kind: 'cancel-claim' })
    : to({ kind: 'releasing', epoch: state.epoch, mine, stage: 'flushing' }, { kind: 'release' });
const lose = (mine: boolean): SlotStep => to({ kind: 'lost', mine, owedEpoch: null }, { kind: 'drop' });
const displace = (state: StateOf<'acquiring' | 'active'>, event: EventOf<'displaced'>): SlotStep => {
  if (state.epoch === null || event.epoch <= state.epoch) return stay(state); // below the epoch that will be claimed
  return to({ kind: 'lost', mine: true, owedEpoch: null }, { kind: 'drop' }, { kind: 'want-rebalance' });
};

/** Every cell of states × events. `noted`: the effect of the plan on a slot that is still busy. */
const table: { readonly [S in SlotKind]: { readonly [E in SlotEventKind]: Cell<S, E> } } = {
  none: {
    'plan-mine': () => to(assigned),
    'plan-other': stay,
    'plan-prev': (_state, event) => to(none, writeOwed(event.prevEpoch)),
    startable: never,
    freeze: stay,
    'commit-sent': never,
    claimed: stay,
    'claim-refused': stay,
    acquired: stay,
    'producer-fenced': stay,
    displaced: stay,
    flushed: stay,
    'release-acked': stay,
    drop: stay,
    closed: stay,
    stuck: stay,
  },
  assigned: {
    'plan-mine': stay,
    'plan-other': () => to(none),
    'plan-prev': (_state, event) => to(none, writeOwed(event.prevEpoch)),
    startable: () => to({ kind: 'acquiring', epoch: null }, { kind: 'claim' }),
    freeze: stay,
    'commit-sent': never,
    claimed: stay,
    'claim-refused': stay,
    acquired: stay,
    'producer-fenced': stay,
    displaced: stay,
    flushed: stay,
    'release-acked': stay,
    drop: () => to(none),
    closed: stay,
    stuck: () => to(assigned, { kind: 'want-rebalance' }),
  },
  acquiring: {
    'plan-mine': stay,
    'plan-other': (state) => letGo(state, false),
    'plan-prev': (state, event) =>
      state.epoch === null ? to(none, { kind: 'cancel-claim' }, writeOwed(event.prevEpoch)) : letGo(state, false),
    startable: stay,
    freeze: (state) => (state.epoch === null ? to(assigned, { kind: 'cancel-claim' }) : stay(state)), // O7
    'commit-sent': (_state, event) => to({ kind: 'acquiring', epoch: event.epoch }), // SL1
    claimed: (state, event) =>
      state.epoch === null ? never(state, event) : to(state, { kind: 'begin', epoch: state.epoch }),
    'claim-refused': (state, event) => (event.uncertain ? letGo(state, true) : to(assigned)), // SL1: the release may be waited for
    acquired: (state, event) =>
      state.epoch === null ? never(state, event) : to({ kind: 'active', epoch: state.epoch }, { kind: 'activate' }), // SL2
    'producer-fenced': () =>
      to({ kind: 'lost', mine: true, owedEpoch: null }, { kind: 'drop' }, { kind: 'want-rebalance' }),
    displaced: displace,
    flushed: stay,
    'release-acked': stay,
    drop: (state) => (state.epoch === null ? to(none, { kind: 'cancel-claim' }) : lose(false)),
    closed: stay,
    stuck: (state) => {
      const step = letGo(state, false);
      return { ...step, effects: [...step.effects, { kind: 'want-rebalance' }] };
    },
  },
  active: {
    'plan-mine': stay,
    'plan-other': (state) => letGo(state, false),
    'plan-prev': (state) => letGo(state, false),
    startable: stay,
    freeze: stay,
    'commit-sent': never,
    claimed: never,
    'claim-refused': never,
    acquired: never,
    // The writer takes the producer id again by itself while the slot is rightfully ours; this is its last word.
    'producer-fenced': () =>
      to({ kind: 'lost', mine: true, owedEpoch: null }, { kind: 'drop' }, { kind: 'want-rebalance' }),
    displaced: displace,
    flushed: never,
    'release-acked': never,
    drop: () => lose(false),
    closed: stay,
    stuck: (state) => {
      const step = letGo(state, false);
      return { ...step, effects: [...step.effects, { kind: 'want-rebalance' }] };
    },
  },
  releasing: {
    'plan-mine': (state) => stay({ ...state, mine: true }),
    'plan-other': (state) => stay({ ...state, mine: false }),
    'plan-prev': (state) => stay({ ...state, mine: false }),
    startable: stay,
    freeze: stay,
    'commit-sent': stay,
    claimed: stay,
    'claim-refused': stay,
    acquired: stay,
    'producer-fenced': stay, // refused batches are answered batches: the flush ends
    displaced: stay, // a release of an older epoch stays true
    flushed: (state, event) =>
      state.stage === 'writing'
        ? stay(state)
        : to({ ...state, stage: 'writing' }, { kind: 'write-release', epoch: state.epoch, lastSeq: event.lastSeq }),
    'release-acked': (state) => to(rest(state.mine)),
    drop: () => lose(false),
    closed: stay,
    stuck: stay,
  },
  lost: {
    'plan-mine': (state) => stay({ ...state, mine: true }),
    'plan-other': (state) => stay({ ...state, mine: false }),
    'plan-prev': (state, event) => stay({ ...state, mine: false, owedEpoch: event.prevEpoch }),
    startable: stay,
    freeze: stay,
    'commit-sent': stay,
    claimed: stay,
    'claim-refused': stay,
    acquired: stay,
    'producer-fenced': stay,
    displaced: stay,
    flushed: stay,
    'release-acked': stay,
    drop: (state) => stay({ ...state, mine: false }),
    closed: (state) =>
      state.owedEpoch === null ? to(rest(state.mine)) : to(rest(state.mine), writeOwed(state.owedEpoch)),
    stuck: stay,
  },
};

export function stepSlot(state: SlotState, event: SlotEvent): SlotStep {
  // The table's type has proved each cell against its own state and event; the lookup forgets that they belong together.
  const cell = table[state.kind][event.kind] as unknown as (state: SlotState, event: SlotEvent) => SlotStep;
  return cell(state, event);
}

/** What goes into the held report of these slots (SL1). A lost slot is in none: a report waits until it is closed. */
export function heldEpochs(states: Iterable<readonly [Slot, SlotState]>): {
  readonly held: Map<Slot, bigint>;
  readonly releasing: Map<Slot, bigint>;
} {
  const held = new Map<Slot, bigint>();
  const releasing = new Map<Slot, bigint>();
  for (const [slot, state] of states) {
    if (state.kind === 'releasing') releasing.set(slot, state.epoch);
    else if ((state.kind === 'acquiring' || state.kind === 'active') && state.epoch !== null)
      held.set(slot, state.epoch);
  }
  return { held, releasing };
}
