import { systemClock } from '../../core/clock.ts';
import { eventually } from './eventually.ts';
import { type ChildLogLine, type FaultChild } from './fault-child.ts';
import { type FaultStage } from './fault-stage.ts';
import { type LockMember, named } from './lock-member.ts';

export interface FrozenFigures {
  readonly moved: readonly number[];
  /** From the freeze until the other was active in the first and in the last of its slots. */
  readonly takenAfterMs: readonly number[];
  readonly frozenMs: number;
  /** From the thaw until its host was told to close, slot by slot. */
  readonly droppedAfterMs: readonly number[];
  /** Its epochs of before to which it appended after the thaw. */
  readonly appendedLate: number;
  /**
   * Batches that it put into a request after the thaw, and that the broker refused. One that was on its way to the
   * socket when the process was stopped is not of these: its lease stood when it was looked at.
   */
  readonly refusedBatches: number;
  /** Records of it in the log behind its successor's first. */
  readonly acceptedLate: number;
  /** What its log says first of the loss, and how long after the thaw. */
  readonly lost: ChildLogLine | undefined;
  readonly loggedAfterMs: number;
}

/**
 * An owner in a process of its own is stopped (SIGSTOP) until the other has all slots and publishes, and for
 * `frozenMsMin`; then it goes on. Resolves when it has joined again.
 */
export async function freezeOwner(
  stage: FaultStage,
  owner: FaultChild,
  other: LockMember,
  frozenMsMin = 0,
): Promise<FrozenFigures> {
  const share = stage.slots / 2;
  await stage.held([other, share], [owner, share]);
  const moved = owner.held;
  const former = named(owner.events, 'begin').map(({ epoch }) => epoch);
  const frozenAtMs = systemClock.nowMs();
  owner.signal('SIGSTOP');
  await stage.held([other, stage.slots]);
  const taken = named(other.events, 'activate').filter(({ slot, atMs }) => moved.includes(slot) && atMs >= frozenAtMs);
  await eventually('the new owner publishes', 5_000, () => moved.every((slot) => hasAcked(other, slot)));
  await systemClock.sleep(Math.max(0, frozenAtMs + frozenMsMin - systemClock.nowMs()));
  const thawedAtMs = systemClock.nowMs();
  owner.signal('SIGCONT');
  const drops = (): number[] =>
    named(owner.events, 'drop')
      .map(({ atMs }) => atMs)
      .filter((atMs) => atMs >= thawedAtMs);
  await eventually('it drops', 5_000, () => drops().length === moved.length);
  await stage.held([other, share], [owner, share]); // it has joined again
  const { epochs, refusedTakenAtMs } = await owner.stats();
  const late = epochs.filter(({ epoch, appendedAtMs }) => former.includes(epoch) && appendedAtMs >= thawedAtMs);
  const lost = owner.logLines.find(({ msg, time }) => msg === 'membership lost' && Date.parse(time) >= thawedAtMs);
  return {
    moved,
    takenAfterMs: taken.map(({ atMs }) => atMs - frozenAtMs),
    frozenMs: thawedAtMs - frozenAtMs,
    droppedAfterMs: drops().map((atMs) => atMs - thawedAtMs),
    appendedLate: late.length,
    refusedBatches: refusedTakenAtMs.filter((takenAtMs) => takenAtMs >= thawedAtMs).length,
    acceptedLate: await recordsBehindSuccessor(stage, former),
    lost,
    loggedAfterMs: Date.parse(lost?.time ?? '') - thawedAtMs,
  };
}

function hasAcked(member: LockMember, slot: number): boolean {
  return member.stats().epochs.some((epoch) => epoch.slot === slot && BigInt(epoch.ackedSeq) > 5n);
}

async function recordsBehindSuccessor(stage: FaultStage, former: readonly string[]): Promise<number> {
  let behind = 0;
  for (const records of await stage.telemetry()) {
    let highest = 0n;
    for (const { epoch } of records) {
      if (epoch < highest && former.includes(String(epoch))) behind += 1;
      if (epoch > highest) highest = epoch;
    }
  }
  return behind;
}
