/**
 * The state of this instance on its own disk, so that a restart need not read all of the topic: read at the start, written
 * every now and then and at a clean stop.
 *
 * SS1. A snapshot is believed only if it is whole, of this very log and slot, and so young that no tombstone behind its place
 *      can have been compacted away. Anything else is said in one line, and the slot is read from the topic.
 * SS2. Slots are written one after the other, a block per turn of the event loop: requests are answered meanwhile.
 * SS3. A disk that fails costs nothing but the snapshot.
 */
import { isAbort } from '../core/abort.ts';
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type Slot } from '../schemas/slot.ts';
import { type LeafStore } from './leaf-store.ts';
import { type LogIdentity, type SlotHead, type SlotPlaceSaved } from './slot-head.ts';
import { checkSnapshot, encodeSlot, restoreSlot, SlotCleared } from './slot-snapshot.ts';
import { type SnapshotFolder } from './snapshot-folder.ts';

export interface SnapshotsOptions {
  readonly folder: SnapshotFolder;
  readonly store: LeafStore;
  /** Where the slot's copy stands; null: it is not read to its end, or half of a position is. */
  readonly place: (slot: Slot) => SlotPlaceSaved | null;
  /** The slot's leaves are in the store: its copy stands there now. Throws if that cannot be. */
  readonly restored: (slot: Slot, place: SlotPlaceSaved) => void;
  /** The log that is read; null: not known. Nothing is read or written then. */
  readonly log: () => SnapshotLog | null;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SnapshotLog {
  readonly identity: LogIdentity;
  /** delete.retention.ms of the topic. */
  readonly deleteRetentionMs: number;
}

/** A clock that was set back by more than this makes ages unknown. */
const clockStepMsMax = 60_000;
/** A clean stop waits for its last snapshot no longer. */
const stopMs = 5_000;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  /** What is on the disk, by slot. */
  readonly #written = new Map<Slot, { readonly nextOffset: bigint; readonly clears: number }>();
  readonly #refused = new Map<string, Slot[]>();
  readonly #failures = new RateLimited();
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Puts the slot's leaves into the store; returns where to read on, null: at the beginning. Never rejects. */
  async load(slot: Slot): Promise<SlotPlaceSaved | null> {
    const { folder, store, clock, restored } = this.#options;
    const clears = store.clearsOf(slot);
    try {
      const bytes = await folder.read(slot);
      if (bytes === null) return null;
      if (store.clearsOf(slot) !== clears) return null; // it is read otherwise by now
      const snapshot = checkSnapshot(bytes);
      const problem = this.#problemOf(snapshot.head, slot);
      if (problem !== null) return this.#refuse(slot, problem);
      let sinceMonotonicMs = clock.monotonicMs();
      for (const _ of restoreSlot(store, snapshot)) {
        if (clock.monotonicMs() - sinceMonotonicMs < 20) continue;
        await clock.sleep(0);
        sinceMonotonicMs = clock.monotonicMs();
        if (store.clearsOf(slot) !== clears) break;
      }
      if (store.clearsOf(slot) !== clears) throw new SlotCleared();
      restored(slot, snapshot.head.place);
      this.#noteWritten(slot, snapshot.head.place);
      return snapshot.head.place;
    } catch (thrown) {
      if (thrown instanceof SlotCleared) return null; // and what is there now is not ours
      store.clearSlot(slot);
      return this.#refuse(slot, messageOf(thrown));
    }
  }

  /** SS1. */
  #problemOf(head: SlotHead, slot: Slot): string | null {
    const log = this.#options.log();
    if (log === null) return 'it is not known which log it would have to be of';
    const { identity } = log;
    if (head.log.clusterId !== identity.clusterId) return `it is of cluster ${head.log.clusterId}`;
    if (head.log.topicId !== identity.topicId) return `it is of topic ${head.log.topicId}, which was made anew since`;
    if (head.log.slots !== identity.slots) return `it is of ${head.log.slots} slots, not ${identity.slots}`;
    if (head.slot !== slot) return `it is of slot ${head.slot}`;
    const ageMs = this.#options.clock.nowMs() - head.writtenAtMs;
    if (ageMs < -clockStepMsMax) return 'it is of the future: the clock was set back';
    const ageMsMax = log.deleteRetentionMs / 2;
    if (ageMs > ageMsMax) return `it is older than ${Math.round(ageMsMax / 1000)} s, half of delete.retention.ms`;
    return null;
  }

  #refuse(slot: Slot, problem: string): null {
    const slots = this.#refused.get(problem);
    if (slots === undefined) this.#refused.set(problem, [slot]);
    else slots.push(slot);
    return null;
  }

  start(): void {
    this.#loop = this.#run(this.#options.intervalMs);
  }

  /** After `load`: one line for each problem, with all slots that have it (SS1). */
  sayRefused(): void {
    const { folder, logger } = this.#options;
    for (const [cause, slots] of this.#refused)
      logger.warn({ slots, folder: folder.path, cause }, 'snapshot refused, slots read from the topic');
    this.#refused.clear();
  }

  async #run(intervalMs: number): Promise<void> {
    const { signal } = this.#stopping;
    try {
      for (;;) {
        await this.#options.clock.sleep(intervalMs, signal);
        await this.writeChanged(signal);
      }
    } catch (thrown) {
      if (!isAbort(thrown, signal)) throw thrown;
    }
  }

  /** Writes the slots that went on since they were written last. Never rejects (SS3). */
  async writeChanged(signal: AbortSignal): Promise<void> {
    const { folder, logger, clock, log } = this.#options;
    let written = 0;
    try {
      for (let slot = 0; slot < (log()?.identity.slots ?? 0); slot += 1) {
        if (await this.#write(slot, signal)) written += 1;
      }
      if (written > 0) await folder.flush();
    } catch (thrown) {
      if (signal.aborted) return;
      const suppressed = this.#failures.pass('write', clock.monotonicMs());
      if (suppressed === undefined) return;
      logger.warn({ folder: folder.path, cause: messageOf(thrown), suppressed }, 'snapshot not written');
    }
  }

  async #write(slot: Slot, signal: AbortSignal): Promise<boolean> {
    const { folder, store, clock, place: placeOf } = this.#options;
    const place = placeOf(slot);
    const before = this.#written.get(slot);
    const isOnDisk = before?.clears === store.clearsOf(slot) && before.nextOffset === place?.nextOffset;
    const log = this.#options.log();
    if (log === null || place === null || isOnDisk) return false;
    const head = { log: log.identity, slot, writtenAtMs: clock.nowMs(), place };
    try {
      await folder.write(slot, encodeSlot(store, head), signal); // SS2
    } catch (thrown) {
      if (thrown instanceof SlotCleared) return false;
      throw thrown;
    }
    this.#noteWritten(slot, place);
    return true;
  }

  #noteWritten(slot: Slot, { nextOffset }: SlotPlaceSaved): void {
    this.#written.set(slot, { nextOffset, clears: this.#options.store.clearsOf(slot) });
  }

  /** Writes once more what changed, as far as there is time. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new Error('snapshots stop'));
    await this.#loop;
    const late = new AbortController();
    const timer = this.#options.clock.after(stopMs, () => late.abort(new Error('the stop has no more time')));
    await this.writeChanged(late.signal);
    timer.cancel();
  }
}
