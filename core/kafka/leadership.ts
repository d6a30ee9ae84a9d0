import { type Plan } from '../../schemas/ownership.ts';
import { type Clock, type Timer } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { RateLimited, type Logger } from '../logger.ts';
import { type Joined, type SyncOrder } from './coordinator.ts';
import { leaderPlan } from './leader-plan.ts';
import { type OwnershipLog, type Wish } from './ownership-log.ts';
import { noPlacements, type Placements } from './plan.ts';

/**
 * What a worker does beside its own slots while it leads the group: it makes the plan, mirrors it to `ownership`, asks for
 * another round when something is left to do, and clears away wishes.
 *
 * LS1. The plan is made of reports, `ownership` and the plan before, never of what only this worker knows: any member may
 *      lead the next round (O10).
 * LS2. A report that is not understood costs its member its share, not the group its plan. One so large that the group's
 *      record would not fit is sent away.
 * LS3. Of plans in `ownership` the highest version counts. Whoever leads and sees another one of its version or above asks
 *      for a new round; one that was overtaken by a lower version is written again (O15).
 * LS4. A wish to move a slot is withdrawn once the slot is held where it was wished; a wish to empty an instance once
 *      another run of the instance is a member.
 */
export interface LeadershipOptions {
  readonly slots: number;
  readonly log: OwnershipLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** This worker leads, and its plan is the adopted one. */
  readonly leads: () => boolean;
  readonly wantRebalance: (why: string) => void;
  /** LeaveGroup for a member whose report is too large. */
  readonly evict: (memberId: string) => void;
}

/** What was left to balance is looked at again after this, later each time that nothing became of it. */
const leftoversMsMin = 10_000;
const leftoversMsMax = 60_000;

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #limited = new RateLimited();
  readonly #withdrawing = new Set<string>();
  #plan: Plan | null = null;
  #leftovers = 0;
  #leftoversMs = leftoversMsMin;
  #leftoversTimer: Timer | undefined;
  /** The wishes that the last plan was made with. */
  #planned: Placements = noPlacements;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** The plan for those who joined. Throws `PLAN_INVALID` when this worker itself does not fit into the group. */
  plan(joined: Joined, adopted: Plan | null): NonNullable<SyncOrder['plan']> {
    const { log, slots, clock, logger, evict } = this.#options;
    const placements = this.#placements();
    const knowledge = { slots, adopted, written: log.view.plan, placements, nowMs: clock.nowMs() };
    const { order, leftovers, refused } = leaderPlan(joined, knowledge);
    for (const { memberId, error, evict: tooLarge } of refused) {
      const suppressed = this.#limited.pass(memberId, clock.monotonicMs());
      const line = { memberId, code: error.code, cause: error.message, suppressed };
      if (suppressed !== undefined) logger.error(line, 'member gets no slots: its report was refused');
      if (tooLarge) evict(memberId); // LS2
    }
    this.#leftoversMs =
      leftovers > 0 && leftovers === this.#leftovers ? Math.min(this.#leftoversMs * 2, leftoversMsMax) : leftoversMsMin;
    this.#leftovers = leftovers;
    this.#planned = placements;
    return order;
  }

  /** After every adopted plan, whoever made it. */
  adopted(plan: Plan): void {
    const { leads, clock, wantRebalance } = this.#options;
    this.#plan = plan;
    this.#leftoversTimer?.cancel();
    this.#leftoversTimer = undefined;
    if (!leads()) return;
    this.#write(plan);
    if (this.#leftovers > 0) {
      this.#leftoversTimer = clock.after(this.#leftoversMs, () => wantRebalance('slots were left to balance'));
    }
    this.#reviewWishes(); // one may have come while the plan was on its way
    this.#settleWishes();
  }

  /** Another plan than before is the highest in `ownership` (LS3). */
  planChanged(plan: Plan): void {
    const ours = this.#plan;
    if (ours === null || !this.#options.leads()) return;
    if (plan.version >= ours.version && plan.generation !== ours.generation) {
      this.#options.wantRebalance('another plan with a higher version was written');
    }
  }

  /** `best`: what was followed by a lower version; written again by whoever wrote it (LS3). */
  planLowered(best: Plan): void {
    const ours = this.#plan;
    if (ours === null || best.version !== ours.version || best.generation !== ours.generation) return;
    if (this.#options.leads()) this.#write(ours);
  }

  /** Somebody wished something, or withdrew it. */
  wishesChanged(): void {
    if (!this.#options.leads()) return;
    this.#reviewWishes();
    this.#settleWishes();
  }

  slotChanged(): void {
    if (this.#options.log.view.places.size > 0 && this.#options.leads()) this.#settleWishes();
  }

  stop(): void {
    this.#leftoversTimer?.cancel();
    this.#leftoversTimer = undefined;
  }

  #placements(): Placements {
    const { drains, places } = this.#options.log.view;
    const drained = new Map([...drains].map(([instance, { incarnation }]) => [instance, incarnation]));
    const placed = new Map([...places].map(([slot, { instance }]) => [slot, instance]));
    return this.#unfulfilled({ drained, placed });
  }

  /** Without the places that are on their way out. */
  #unfulfilled({ drained, placed }: Placements): Placements {
    const left = [...placed].filter(([slot, instance]) => !this.#isFulfilled(slot, instance));
    return { drained, placed: new Map(left) };
  }

  /** Asks for a round when wishes that still mean something are others than those of the plan. */
  #reviewWishes(): void {
    const plan = this.#plan;
    if (plan === null) return;
    if (wishesText(this.#placements(), plan) === wishesText(this.#unfulfilled(this.#planned), plan)) return;
    this.#options.wantRebalance('a wish was made or withdrawn');
  }

  #isFulfilled(slot: number, instance: string): boolean {
    const plan = this.#plan;
    const record = this.#options.log.view.slot(slot);
    const owner = plan?.members[(plan.slots[slot]?.owner ?? 0) - 1];
    return owner?.instance === instance && record?.state === 'held' && record.holder?.incarnation === owner.incarnation;
  }

  /** LS4 */
  #settleWishes(): void {
    const { view } = this.#options.log;
    for (const [slot, { instance }] of view.places) {
      if (this.#isFulfilled(slot, instance)) this.#withdraw(`place ${slot}`, { kind: 'place', slot });
    }
    for (const [instance, { incarnation }] of view.drains) {
      const runs = this.#plan?.members.filter((member) => member.instance === instance) ?? [];
      const over = incarnation !== '' && runs.length > 0 && runs.every((member) => member.incarnation !== incarnation);
      if (over) this.#withdraw(`drain ${instance}`, { kind: 'drain', instance });
    }
  }

  #withdraw(name: string, wish: Wish): void {
    if (this.#withdrawing.has(name)) return;
    this.#withdrawing.add(name);
    this.#options.log
      .withdraw(wish)
      .then(
        () => this.#options.logger.info({ wish: name }, 'wish fulfilled'),
        (thrown: unknown) => this.#options.logger.warn({ wish: name, cause: messageOf(thrown) }, 'wish not withdrawn'),
      )
      .finally(() => this.#withdrawing.delete(name));
  }

  #write(plan: Plan): void {
    const { log, logger } = this.#options;
    log.writePlan(plan).catch((thrown: unknown) => logger.warn({ cause: messageOf(thrown) }, 'plan not written'));
  }
}

/** Wishes as text, to compare; those that name a member of another group, or a run that is over, change no plan. */
function wishesText({ drained, placed }: Placements, { members }: Plan): string {
  const ours = new Set(members.map(({ instance }) => instance));
  const drains = [...drained].filter(([instance, run]) =>
    members.some((member) => member.instance === instance && (run === '' || run === member.incarnation)),
  );
  const places = [...placed].filter(([, instance]) => ours.has(instance));
  return JSON.stringify([drains.sort(), places.sort(([a], [b]) => a - b)]);
}
