/**
 * Which slots this instance holds, with `readReplicas` holders a slot: everybody computes the same assignment from the
 * table of instances, and each changes from what it holds to what it is assigned in its own time.
 *
 * SH1. What is assigned is loaded at once; what is not any more is kept until all others that it is assigned to report it
 *      fresh. So a slot that moves is never without a holder, and for a while has one more.
 * SH2. Kept no longer than a bound, if one of those holds it at all: one holder that does not come must not fill our memory.
 * SH3. Before the table is known to be of now, and while instances come and go, nothing is decided: an instance that
 *      starts first would load everything, and drop most of it when the second is seen.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type Slot } from '../schemas/slot.ts';
import { type CandidateTables } from './candidates.ts';
import { isDraining } from './group-map.ts';
import { concludeFrom } from './position-report.ts';
import { type AssignmentMember, assignSlots } from './slot-assignment.ts';

/** What follows the decision. */
export interface SlotHolder {
  /** The slots to hold from now on, loaded and followed; others are let go. */
  hold(slots: ReadonlySet<Slot>): void;
}

export interface SlotChoiceOptions {
  readonly holder: SlotHolder;
  readonly tables: CandidateTables & { readonly loaded: boolean };
  readonly self: string;
  readonly slots: number;
  readonly replicas: number;
  /** A slot reported with at most so much staleness counts as held. */
  readonly freshMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const stepMs = 500;
/** Two reports of every instance that lives, and a half more. */
const settleMs = 2_500;
const keepMsMax = 120_000;

export class SlotChoice implements Component {
  readonly name = 'slot choice';
  readonly #options: SlotChoiceOptions;
  #timer: Timer | undefined;
  #membership = { text: '', sinceMonotonicMs: 0 };
  #assigned: readonly (readonly string[])[] | null = null;
  #held: ReadonlySet<Slot> = new Set();
  readonly #unwantedSince = new Map<Slot, number>();

  constructor(options: SlotChoiceOptions) {
    this.#options = options;
  }

  /** What it is to hold; borrowed slots are not among them, nor reported: they may go at any moment. */
  get held(): ReadonlySet<Slot> {
    return this.#held;
  }

  start(): Promise<void> {
    this.#timer = this.#options.clock.every(stepMs, () => this.step());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  /** Public for tests. */
  step(): void {
    this.#assign();
    if (this.#assigned === null) return;
    const { self, holder, logger } = this.#options;
    const wanted = new Set(this.#assigned.flatMap((holders, slot) => (holders.includes(self) ? [slot] : [])));
    const next = new Set([...wanted, ...this.#kept(wanted, this.#assigned)]);
    if (next.size === this.#held.size && [...next].every((slot) => this.#held.has(slot))) return;
    this.#held = next;
    logger.info({ slots: next.size, assigned: wanted.size }, 'slots to hold changed');
    holder.hold(next);
  }

  /** SH3. */
  #assign(): void {
    const { tables, self, clock, slots, replicas } = this.#options;
    if (!tables.loaded) return;
    const members = this.#members();
    const nowMonotonicMs = clock.monotonicMs();
    const text = members.map(({ instance, zone }) => JSON.stringify([instance, zone])).join();
    if (text !== this.#membership.text) this.#membership = { text, sinceMonotonicMs: nowMonotonicMs };
    const settled = nowMonotonicMs - this.#membership.sinceMonotonicMs >= settleMs;
    if (!settled || !tables.sightings.isProven(self)) return;
    if (members.length > 0) this.#assigned = assignSlots(members, { slots, replicas });
  }

  #members(): AssignmentMember[] {
    const { tables } = this.#options;
    return [...tables.instances.entries()]
      .filter(([id, one]) => one.role === 'query-api' && tables.sightings.isProven(id) && !isDraining(tables, one))
      .map(([instance, { zone }]) => ({ instance, zone }))
      .sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  /** SH1, SH2. */
  #kept(wanted: ReadonlySet<Slot>, assigned: readonly (readonly string[])[]): Slot[] {
    const nowMonotonicMs = this.#options.clock.monotonicMs();
    for (const slot of this.#unwantedSince.keys()) {
      if (wanted.has(slot) || !this.#held.has(slot)) this.#unwantedSince.delete(slot);
    }
    return [...this.#held].filter((slot) => {
      if (wanted.has(slot)) return false;
      const sinceMonotonicMs = this.#unwantedSince.get(slot) ?? nowMonotonicMs;
      this.#unwantedSince.set(slot, sinceMonotonicMs);
      const others = assigned[slot] ?? [];
      const present = others.filter((instance) => this.#reportsFresh(instance, slot)).length;
      const overdue = nowMonotonicMs - sinceMonotonicMs > keepMsMax && present > 0;
      return present < others.length && !overdue;
    });
  }

  #reportsFresh(instance: string, slot: Slot): boolean {
    const { tables, freshMs } = this.#options;
    if (!tables.sightings.isProven(instance)) return false;
    const report = tables.instances.get(instance)?.slots.find((one) => one.slot === slot);
    if (report === undefined) return false;
    return concludeFrom(report, tables.sightings.recordAgeMs(instance)).stalenessMs <= freshMs;
  }
}
