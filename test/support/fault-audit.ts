import { decodeHeader, type RecordKind } from '../../schemas/position.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type EpochWitness } from './fault-witness.ts';

/**
 * The log of every slot as the broker took it, judged by the rules of the lock, in the order of the log.
 *
 * FA1. Epochs only grow: nothing of a displaced holder stands behind its successor's first record (O4).
 * FA2. seq of every epoch is 1, 2, 3 … without a hole or a repeat (O5).
 * FA3. The first record of an epoch is its `owner` marker, and no other is.
 * FA4. The values of an epoch come from one instance and count 1, 2, 3 …, as its device did.
 * FA5. What a witness saw acked is in the log: its epoch reaches at least that seq.
 */
export interface AuditRecord {
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly kind: RecordKind;
  /** Who wrote it, and what its device counted; 0 in markers. */
  readonly instanceId: string;
  readonly count: bigint;
}

/** An epoch as the log has it. */
export interface EpochSeen {
  readonly slot: Slot;
  readonly epoch: bigint;
  readonly instanceId: string;
  lastSeq: bigint;
}

export interface SlotAudit {
  /** In words; empty: the rules hold. */
  readonly problems: readonly string[];
  /** By slot, in the order of the log. */
  readonly epochs: readonly (readonly EpochSeen[])[];
}

/** Of the records that `LockMember` writes. */
export function auditRecord(value: Buffer, header: Buffer): AuditRecord {
  const { epoch, seq, kind } = decodeHeader(header);
  const [instanceId = '', count = ''] = value.subarray(6).toString().split(' ');
  return { epoch, seq, kind, instanceId, count: BigInt(count) };
}

export function auditSlots(
  partitions: readonly (readonly AuditRecord[])[],
  witnesses: readonly EpochWitness[] = [],
): SlotAudit {
  const problems: string[] = [];
  const epochs = partitions.map((records, slot) => auditSlot(slot, records, problems));
  for (const { slot, epoch, ackedSeq } of witnesses) {
    const seen = epochs[slot]?.find((entry) => entry.epoch === BigInt(epoch));
    if (BigInt(ackedSeq) <= (seen?.lastSeq ?? 0n)) continue;
    problems.push(`FA5 slot ${slot} epoch ${epoch}: acked to ${ackedSeq}, in the log to ${seen?.lastSeq ?? 0n}`);
  }
  return { problems, epochs };
}

function auditSlot(slot: Slot, records: readonly AuditRecord[], problems: string[]): EpochSeen[] {
  const epochs: EpochSeen[] = [];
  let count = 0n;
  for (const record of records) {
    const { epoch, seq, kind, instanceId } = record;
    const at = `slot ${slot} epoch ${epoch} seq ${seq} of ${instanceId}`;
    let current = epochs.at(-1);
    if (current === undefined || epoch !== current.epoch) {
      if (current !== undefined && epoch < current.epoch) {
        problems.push(`FA1 ${at}: behind epoch ${current.epoch} of ${current.instanceId}`);
        continue; // as readers do
      }
      current = { slot, epoch, instanceId, lastSeq: 0n };
      epochs.push(current);
      count = 0n;
    }
    if (seq !== current.lastSeq + 1n) problems.push(`FA2 ${at}: behind seq ${current.lastSeq}`);
    if ((kind === 'owner') !== (seq === 1n)) problems.push(`FA3 ${at}: is ${kind}`);
    if (instanceId !== current.instanceId) problems.push(`FA4 ${at}: the epoch is of ${current.instanceId}`);
    if (kind === 'data') {
      if (record.count !== count + 1n) problems.push(`FA4 ${at}: ${record.count} behind ${count}`);
      count = record.count;
    }
    current.lastSeq = seq;
  }
  return epochs;
}
