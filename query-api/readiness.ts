/** Whether this instance should get requests, and why not. Pure. */
import { type Readiness } from '../core/admin-server.ts';
import { type SlotFreshness } from './slot-freshness.ts';

export interface ReadinessFacts {
  readonly tablesLoaded: boolean;
  readonly kafkaOk: boolean;
  /** The n-th is slot n. */
  readonly slots: readonly SlotFreshness[];
  readonly readyStalenessMs: number;
}

/** One line per kind of trouble, with the slots that have it. A schema registry that is away is none. */
export function readinessOf(facts: ReadinessFacts): Readiness {
  const reasons: string[] = [];
  if (!facts.kafkaOk) reasons.push('Kafka does not answer');
  if (!facts.tablesLoaded) reasons.push('tables are still being read');
  const bySlotReason = new Map<string, number[]>();
  if (facts.slots.every(({ kind }) => kind === 'absent')) reasons.push('which slots to hold is not known yet');
  for (const [slot, freshness] of facts.slots.entries()) {
    if (freshness.kind === 'absent') continue; // others hold it
    const reason = slotReason(freshness, facts.readyStalenessMs);
    if (reason !== undefined) bySlotReason.set(reason, [...(bySlotReason.get(reason) ?? []), slot]);
  }
  for (const [reason, slots] of bySlotReason)
    reasons.push(`${slots.length === 1 ? 'slot' : 'slots'} ${formatSlots(slots)}: ${reason}`);
  return { ready: reasons.length === 0, reasons };
}

function slotReason(
  freshness: Exclude<SlotFreshness, { readonly kind: 'absent' }>,
  readyStalenessMs: number,
): string | undefined {
  if (freshness.kind === 'incomplete') return freshness.reason;
  if (freshness.stalenessMs > readyStalenessMs) return `older than ${readyStalenessMs} ms`;
  return undefined;
}

/** Ascending slots as ranges: `0-3, 7`. */
export function formatSlots(slots: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last !== undefined && last.to === slot - 1) last.to = slot;
    else ranges.push({ from: slot, to: slot });
  }
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}
