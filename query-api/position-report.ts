/**
 * What an instance says of its slots once a second, and what another may conclude from it. Pure.
 *
 * PR1. A slot is reported from the moment it can be answered from; before, it is not held as far as others are concerned.
 * PR2. What is concluded is never better than the truth: the position is at most the one applied by now, the staleness at
 *      least the one that holds by now. Whoever answers judges itself by its own numbers; this is for choosing whom to ask.
 * PR3. No clock of another machine is read: a report is a duration at the moment of writing, to which the time since is added.
 */
import { type InstanceSlot } from '../schemas/instance.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type ReportedSlot } from './candidate.ts';
import { type SlotFreshness } from './slot-freshness.ts';

export interface HeldSlots {
  freshness(slot: Slot): SlotFreshness;
  /** Everything up to here has been applied; `null` when the slot has no position yet. */
  complete(slot: Slot): Position | null;
}

/** Of the slots that this instance is to hold, those that it can answer from (PR1). */
export function reportSlots(slots: Iterable<Slot>, held: HeldSlots): InstanceSlot[] {
  const report: InstanceSlot[] = [];
  for (const slot of slots) {
    const freshness = held.freshness(slot);
    if (freshness.kind === 'absent' || freshness.kind === 'incomplete') continue;
    const position = held.complete(slot);
    const stalenessMs = Math.ceil(freshness.stalenessMs);
    report.push({ slot, epoch: position?.epoch ?? 0n, seq: position?.seq ?? 0n, stalenessMs });
  }
  return report;
}

/** How many slots none of these instances reports with at most `freshMs`: questions about them are answered by nobody. */
export function slotsUnanswered(
  slots: number,
  reporters: Iterable<{ readonly slots: readonly InstanceSlot[]; readonly seenMs: number }>,
  freshMs: number,
): number {
  const answered = new Set<Slot>();
  for (const { slots: reports, seenMs } of reporters) {
    for (const { slot, stalenessMs } of reports) if (stalenessMs + seenMs <= freshMs) answered.add(slot);
  }
  return slots - answered.size;
}

/** What the slot is at most behind by now; `recordAgeMs`: since the report can at the earliest have been written. */
export function concludeFrom(report: InstanceSlot, recordAgeMs: number): ReportedSlot {
  return { epoch: report.epoch, seq: report.seq, stalenessMs: report.stalenessMs + recordAgeMs }; // PR2, PR3
}
