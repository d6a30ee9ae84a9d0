/** What a request may be forwarded to. */
import { type Slot } from '../schemas/slot.ts';

export interface ReportedSlot {
  readonly epoch: bigint;
  readonly seq: bigint;
  /** As reported, and the time since: at most so far behind. */
  readonly stalenessMs: number;
}

/** Another instance, as its record in `instances` and our own experience with it have it. */
export interface Candidate {
  readonly instance: string;
  /** `host:port` */
  readonly http: string;
  /** Empty: none. */
  readonly zone: string;
  /** Of the way there; smaller is better. */
  readonly cost: number;
  /** Thousandths of a core, as it reports. */
  readonly load: number;
  /** Requests that we have forwarded to it and that it has not answered. */
  readonly inFlight: number;
  /** `suspect`: it failed us lately, or drains; asked when no other can be. `gone`: not asked, counts for its zone. */
  readonly health: 'ok' | 'suspect' | 'gone';
  /** `undefined`: it does not say that it holds the slot. */
  report(slot: Slot): ReportedSlot | undefined;
}
