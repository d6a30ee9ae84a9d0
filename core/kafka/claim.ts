import { ownershipNumberMax, type SlotOwnership } from '../../schemas/ownership.ts';

/**
 * What is kept in the coordinator's register of a slot (metadata of its committed offset): who claimed it last, with which
 * epoch. Text `1 EPOCH MEMBER-ID [SEQ-EPOCH:SEQ]`; an empty member id stands as `-`.
 *
 * CL1. The epoch of a claim is above the stored one, above every epoch seen anywhere, and never below unix ms, which is
 *      only a floor for a register that was lost. It is never made from the generation: that restarts at 1.
 * CL2. Who finds the claim of another member of the same plan, without that member's release, does not claim: a late copy
 *      of an old JoinGroup may have made a plan that does not know of it. Any record of `ownership` with a higher epoch
 *      will do as well: its writer went by this rule when it took that epoch, and readers keep no record below it.
 */
export interface Claim {
  readonly epoch: bigint;
  /** '' when its claimer gave it up without being able to write its release. */
  readonly memberId: string;
  /** Of the replicator: epoch and seq of the last telemetry record it applied. */
  readonly applied: { readonly epoch: bigint; readonly seq: bigint } | null;
}

export function formatClaim({ epoch, memberId, applied }: Claim): string {
  const head = `1 ${epoch} ${memberId === '' ? '-' : memberId}`;
  return applied === null ? head : `${head} ${applied.epoch}:${applied.seq}`;
}

/** Null for anything else than a claim: then the register counts as lost. */
export function parseClaim(text: string): Claim | null {
  const match = /^1 (\d{1,20}) (\S+)(?: (\d{1,20}):(\d{1,20}))?$/.exec(text);
  if (match === null) return null;
  const [, epoch = '', memberId = '', appliedEpoch, appliedSeq] = match;
  if (BigInt(epoch) > ownershipNumberMax) return null;
  const applied =
    appliedEpoch === undefined || appliedSeq === undefined
      ? null
      : { epoch: BigInt(appliedEpoch), seq: BigInt(appliedSeq) };
  return { epoch: BigInt(epoch), memberId: memberId === '-' ? '' : memberId, applied };
}

/** The next epoch of a slot (CL1). */
export function nextEpoch(seen: readonly bigint[], nowMs: number): bigint {
  return seen.reduce((floor, epoch) => (epoch >= floor ? epoch + 1n : floor), BigInt(Math.trunc(nowMs)));
}

/** CL2: another member of the adopted plan stands in the register, and `record` says nothing of its release. */
export function isClaimedElsewhere(
  stored: Claim | null,
  self: string,
  directory: ReadonlySet<string>,
  record: Pick<SlotOwnership, 'epoch' | 'state' | 'holder'> | null,
): boolean {
  if (stored === null || stored.memberId === '' || stored.memberId === self) return false;
  if (!directory.has(stored.memberId)) return false;
  if (record === null || record.epoch < stored.epoch) return true;
  return record.epoch === stored.epoch && (record.state !== 'released' || record.holder?.memberId !== stored.memberId);
}
