import { type Member } from '../../schemas/ownership.ts';
import { type Proof } from './lease.ts';
import { type Lane, type MemberRef, type Refusal } from './coordinator.ts';

/** What the drivers of slots need to know of, and tell, the worker they belong to (`lock-worker.ts`). */
export interface WorkerFacts {
  /** The generation whose plan is adopted; null while there is none. */
  synced(): MemberRef | null;
  self(): Member;
  /** Member, synced, not frozen, lease live. */
  mayAcquire(): boolean;
  /** A few ns: called before every produce. */
  leaseLive(): boolean;
  draining(): boolean;
  /** Another member exists and Kafka takes our commits: what does not get through here may get through there. */
  othersMayDoBetter(): boolean;
  /** An answer that counts for the lease. */
  accepted(proof: Proof, sentAtMs: number, member: MemberRef): void;
  /** An answer that does not: the worker decides what it means for the membership. */
  refused(kind: Refusal, lane: Lane, member: MemberRef, error: Error): void;
  wantRebalance(why: string): void;
  /** Some slot changed its state. */
  slotsChanged(): void;
}
