import { type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { type Random } from '../random.ts';
import { formatClaim, isClaimedElsewhere, nextEpoch, parseClaim, type Claim } from './claim.ts';
import { type Coordinator, type MemberRef, type SlotCommit } from './coordinator.ts';
import { type LogEnds } from './log-ends.ts';
import { type OwnershipLog } from './ownership-log.ts';
import { type SlotWriter } from './slot-host.ts';
import { type SlotRun } from './slot-run.ts';
import { type WorkerFacts } from './worker-facts.ts';

/**
 * Claims: the next epoch of slots, taken at the coordinator. One OffsetFetch and one OffsetCommit for all slots that are
 * taken over together.
 *
 *   OffsetFetch → (register lost: read the logs to their ends) → epochs → OffsetCommit with our member id and generation
 *
 * A1. The coordinator refuses a commit of any other member or generation: a fenced, replicated register per slot.
 * A2. A commit is repeated until it is answered, whatever became of the slot meanwhile: an answer that is missing might
 *     still come true, and no release is written while that can be (O11).
 * A3. Nothing is committed for a slot in whose register another member of the plan stands unreleased.
 */
export interface AcquisitionPorts {
  readonly coordinator: Coordinator;
  readonly log: OwnershipLog;
  readonly ends: LogEnds;
  readonly worker: WorkerFacts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How the slot driver hears of its claims. */
export interface ClaimListener<W extends SlotWriter> {
  isCurrent(run: SlotRun<W>): boolean;
  commitSent(run: SlotRun<W>, epoch: bigint): void;
  claimed(run: SlotRun<W>): void;
  refused(run: SlotRun<W>, uncertain: boolean): void;
}

interface Register {
  readonly commit: SlotCommit | undefined;
  readonly claim: Claim | null;
}

/** Claims `runs` for the member that adopted `plan`. Settles when every commit is answered; never rejects. */
export async function claimSlots<W extends SlotWriter>(
  ports: AcquisitionPorts,
  plan: Plan,
  runs: readonly SlotRun<W>[],
  listener: ClaimListener<W>,
  signal: AbortSignal,
): Promise<void> {
  const member = ports.worker.synced();
  let sent = false;
  try {
    if (member === null) throw new Error('no membership');
    const registers = await readRegisters(ports, member, runs);
    const floors = registers === null ? null : await readFloors(ports, registers, signal);
    if (registers === null || floors === null) {
      for (const run of runs) if (listener.isCurrent(run)) listener.refused(run, false);
      return;
    }
    const commits: { readonly run: SlotRun<W>; readonly commit: SlotCommit }[] = [];
    for (const run of runs) {
      if (!listener.isCurrent(run)) continue;
      const commit = decide(ports, plan, member, run, registers.get(run.slot), floors.get(run.slot));
      if (commit === null) listener.refused(run, false);
      else
        commits.push({ run, commit: { slot: run.slot, offset: run.committedOffset, metadata: formatClaim(commit) } });
      if (commit !== null) listener.commitSent(run, commit.epoch);
    }
    sent = true;
    if (commits.length > 0) await commitUntilAnswered(ports, member, commits, listener, signal);
  } catch (thrown) {
    if (!signal.aborted) ports.logger.warn({ cause: messageOf(thrown), slots: runs.length }, 'claim failed');
    for (const run of runs) if (listener.isCurrent(run)) listener.refused(run, sent);
  }
}

/** Null: not answered, or not with registers. */
async function readRegisters<W extends SlotWriter>(
  { coordinator, worker }: AcquisitionPorts,
  member: MemberRef,
  runs: readonly SlotRun<W>[],
): Promise<Map<Slot, Register> | null> {
  const answer = await coordinator.fetch(runs.map(({ slot }) => slot));
  if (answer.kind !== 'ok') {
    worker.refused(answer.kind, 'group', member, answer.error);
    return null;
  }
  return new Map(
    runs.map(({ slot }) => {
      const commit = answer.value.get(slot);
      return [slot, { commit, claim: commit === undefined ? null : parseClaim(commit.metadata) }];
    }),
  );
}

/** Epochs found in the logs for slots whose register is lost, after reading `ownership` to an end taken now. */
async function readFloors(
  { log, ends }: AcquisitionPorts,
  registers: ReadonlyMap<Slot, Register>,
  signal: AbortSignal,
): Promise<ReadonlyMap<Slot, bigint>> {
  const lost = [...registers].filter(([, { claim }]) => claim === null).map(([slot]) => slot);
  if (lost.length === 0) return new Map();
  const [epochs] = await Promise.all([ends.lastEpochs(lost, signal), log.readToEnd(signal)]);
  return epochs;
}

/** The claim to commit, or null when somebody else's stands (A3). Fills in what the run takes over. */
function decide<W extends SlotWriter>(
  { log, worker, clock }: AcquisitionPorts,
  plan: Plan,
  member: MemberRef,
  run: SlotRun<W>,
  register: Register | undefined,
  floor: bigint | undefined,
): Claim | null {
  const record = log.view.slot(run.slot);
  const stored = register?.claim ?? null;
  const directory = new Set(plan.members.map(({ memberId }) => memberId));
  if (isClaimedElsewhere(stored, member.memberId, directory, record)) {
    worker.wantRebalance(`slot ${run.slot} is claimed by another member that has not released it`);
    return null;
  }
  const seen = [stored?.epoch, record?.epoch, floor, plan.slots[run.slot]?.prevEpoch].filter(
    (epoch) => epoch !== undefined,
  );
  run.committedOffset = register?.commit?.offset ?? 0n;
  run.applied = stored?.applied ?? null;
  run.before = record;
  return { epoch: nextEpoch(seen, clock.nowMs()), memberId: member.memberId, applied: run.applied };
}

async function commitUntilAnswered<W extends SlotWriter>(
  { coordinator, worker, clock, random }: AcquisitionPorts,
  member: MemberRef,
  commits: readonly { readonly run: SlotRun<W>; readonly commit: SlotCommit }[],
  listener: ClaimListener<W>,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff({ initialMs: 100, maxMs: 1_000, factor: 2, jitter: 0.5 });
  for (let uncertain = false; ; uncertain = true) {
    const sentAtMs = clock.monotonicMs();
    const answer = await coordinator.commit(
      member,
      commits.map(({ commit }) => commit),
    );
    if (answer.kind === 'ok') {
      worker.accepted('commit', sentAtMs, member);
      for (const { run } of commits) if (listener.isCurrent(run)) listener.claimed(run);
      return;
    }
    worker.refused(answer.kind, 'group', member, answer.error);
    if (answer.kind !== 'lost') {
      for (const { run } of commits) if (listener.isCurrent(run)) listener.refused(run, uncertain);
      return;
    }
    await clock.sleep(backoff.nextMs(random), signal);
    if (!commits.some(({ run }) => listener.isCurrent(run))) return; // dropped: the membership is gone, and A1 with it
  }
}
