import { type Slot } from '../../schemas/slot.ts';
import { type HostEvent } from './lock-member.ts';

/** From when to when an instance held a slot, by the wall clock of the machine. */
export interface Holding {
  readonly slot: Slot;
  readonly instanceId: string;
  readonly fromMs: number;
  /** Infinity: it still does. */
  toMs: number;
}

/** `goneAtMs`: when the process was killed; what it held ended then. */
export function holdingsOf(
  instanceId: string,
  events: readonly HostEvent[],
  goneAtMs: number = Number.POSITIVE_INFINITY,
): Holding[] {
  const holdings: Holding[] = [];
  const open = new Map<Slot, Holding>();
  for (const { event, slot, atMs } of events) {
    if (event === 'activate') {
      const holding = { slot, instanceId, fromMs: atMs, toMs: goneAtMs };
      holdings.push(holding);
      open.set(slot, holding);
    } else if (event === 'release' || event === 'drop') {
      const holding = open.get(slot);
      if (holding !== undefined) holding.toMs = atMs;
      open.delete(slot);
    }
  }
  return holdings;
}

/** O1: the moments at which two instances held one slot, in words. */
export function overlapsOf(holdings: readonly Holding[]): string[] {
  const overlaps: string[] = [];
  for (const [index, one] of holdings.entries()) {
    for (const other of holdings.slice(index + 1)) {
      const overlapMs = Math.min(one.toMs, other.toMs) - Math.max(one.fromMs, other.fromMs);
      if (one.slot !== other.slot || one.instanceId === other.instanceId || !(overlapMs > 0)) continue;
      overlaps.push(`slot ${one.slot}: ${one.instanceId} and ${other.instanceId} for ${overlapMs} ms`);
    }
  }
  return overlaps;
}

export interface HoldingGap {
  readonly slot: Slot;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The times between two holdings of a slot in which nobody held it. */
export function gapsOf(holdings: readonly Holding[]): HoldingGap[] {
  const gaps: HoldingGap[] = [];
  const heldToMs = new Map<Slot, number>();
  for (const { slot, fromMs, toMs } of holdings.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const before = heldToMs.get(slot);
    if (before !== undefined && before < fromMs) gaps.push({ slot, fromMs: before, toMs: fromMs });
    heldToMs.set(slot, Math.max(before ?? 0, toMs));
  }
  return gaps;
}
