/** Puts leaves, groups and what waits of them into messages: rules G1, G2 and G5 of `gnmi-stream.ts`, and the counts. */
import { type ResponseForm } from '../core/gnmi/response-form.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { type GnmiCoverage } from './gnmi-coverage.ts';
import { GnmiEncoder, type LeafToSend } from './gnmi-encoder.ts';
import { type AtomicGroup, behind, type GroupState, laterOf, storedGroup } from './gnmi-group.ts';
import { type HealthLeaf } from './gnmi-health.ts';
import { type GnmiOutbox, type Pending, type PendingChange, type PendingLeaf } from './gnmi-outbox.ts';
import { type WalkSink } from './gnmi-walk.ts';
import { type GnmiWriter } from './gnmi-writer.ts';
import { type LastSent } from './last-sent.ts';
import { type LeafView } from './store.ts';

export interface GnmiTellerOptions {
  readonly context: GnmiContext;
  readonly form: ResponseForm;
  readonly writer: GnmiWriter;
  readonly outbox: GnmiOutbox;
  /** What the whole request is about. */
  readonly coverage: GnmiCoverage;
  /** What is told on change. */
  readonly onChange: GnmiCoverage;
  readonly lastSent: LastSent;
}

/** More are looked for anew. */
const endedByMax = 256;

export class GnmiTeller implements WalkSink {
  readonly #options: GnmiTellerOptions;
  readonly #encoder: GnmiEncoder;
  /** By device and root: with which time a group was told, where that is not the time of each of its leaves (AG2). */
  readonly #told = new Map<string, Map<string, bigint>>();
  /** By device and root: the leaf that a group was found ended by. */
  readonly #endedBy = new Map<string, string>();
  #updates = 0;
  #deletes = 0;
  #messages = 0;
  #coalesced = 0;

  constructor(options: GnmiTellerOptions) {
    this.#options = options;
    const { form, context, writer } = options;
    this.#encoder = new GnmiEncoder(form, context.paths, (message) => writer.write(message));
  }

  leaf(device: string, { key, value, timestampNs }: LeafView): void {
    const duplicates = this.#catchUp(device, key, timestampNs);
    this.#update(device, { key, value, timestampNs, duplicates });
  }

  health(device: string, { key, value }: HealthLeaf): void {
    const timestampNs = this.#options.context.clock.nowNs();
    const duplicates = this.#catchUp(device, key, timestampNs);
    this.#update(device, { key, value, timestampNs, duplicates });
  }

  /** G2. `first`: what was taken out of the outbox already. Its time is no older than what was told of it before. */
  group(device: string, rootKey: string, group: AtomicGroup, first: PendingLeaf | null = null): void {
    const { outbox } = this.#options;
    const { origin, root, leaves } = group;
    const waiting = new Map(outbox.takeDeletes(device, rootKey).map((pending) => [pending.key, pending]));
    if (first !== null) waiting.set(first.key, first);
    let timestampNs = laterOf(group.timestampNs, this.#told.get(device)?.get(rootKey) ?? group.timestampNs);
    const removed: string[] = [];
    const later: PendingLeaf[] = [];
    const remove = (pending: PendingLeaf, isStored: boolean): void => {
      timestampNs = laterOf(timestampNs, pending.formerNs ?? timestampNs);
      if (!isOfOther(pending, rootKey)) removed.push(pending.key);
      else if (!isStored) later.push(pending);
    };
    const toSend = leaves.map(({ key, value, timestampNs: leafNs }): LeafToSend => {
      const pending = waiting.get(key) ?? outbox.takeLeaf(device, key);
      waiting.delete(key);
      if (pending !== undefined && pending.deleted !== null) remove(pending, true);
      return { key, value, timestampNs: leafNs, duplicates: pending?.merged ?? 0 };
    });
    for (const pending of waiting.values()) {
      if (pending.updated !== null)
        this.#tellPlainly(pending); // not stored any more: what follows takes it away
      else remove(pending, false);
    }
    for (const key of removed) this.#noteRemoved(device, key);
    this.#encoder.atomic(device, { origin, root, timestampNs, leaves: toSend, removed });
    for (const leaf of toSend) this.#noteSent(device, leaf);
    this.#noteTold(device, rootKey, toSend.every((leaf) => leaf.timestampNs === timestampNs) ? null : timestampNs);
    for (const pending of later) this.#tellLeaf(pending, rootKey);
  }

  /** An entry of the outbox, in its turn. */
  tell(pending: Pending): void {
    if (pending.kind === 'leaf') this.#tellLeaf(pending);
    else if (pending.kind === 'sync') this.sync();
    else if (pending.kind === 'device-removed') {
      this.#encoder.removeDevice(pending.device, pending.timestampNs);
      this.#told.delete(pending.device);
      this.#options.lastSent.forget(pending.device); // not earlier: what waited before it was told until now
      this.#deletes += 1;
    }
  }

  /** `told`: the root of a group that was told just now. */
  #tellLeaf(pending: PendingLeaf, told: string | null = null): void {
    const { device, roots } = pending;
    const { onChange, outbox } = this.#options;
    for (const rootKey of roots) {
      if (rootKey === told) continue;
      const state = this.#stored(device, rootKey);
      if (state.kind === 'whole') {
        this.group(device, rootKey, state.group, pending);
        return;
      }
      // A reader must know that the group has ended, or it takes all of it for gone with one leaf (A5).
      const by = state.kind === 'ended' && pending.deleted !== null ? state.by : null;
      const ending = by === null ? undefined : outbox.takeLeaf(device, by.key);
      if (ending !== undefined) this.#tellLeaf(ending);
      else if (by?.key === pending.key) {
        this.#tellPlainly({ ...pending, deleted: null, merged: 0 }); // and again behind its delete
      } else if (by !== null && !onChange.coversElems(by.key, by.elems)) {
        const { key, value, timestampNs } = by; // it is sampled: nobody has told it yet
        this.#update(device, { key, value, timestampNs, duplicates: 0 });
      }
    }
    this.#tellPlainly(pending);
  }

  /** Many changes may wait of a large group that has ended: what ended it is looked at first. */
  #stored(device: string, rootKey: string): GroupState {
    const { context, coverage } = this.#options;
    const name = `${device} ${rootKey}`;
    const state = storedGroup(context.state.store, coverage, device, rootKey, this.#endedBy.get(name));
    this.#endedBy.delete(name);
    if (state.kind === 'ended' && state.by !== null) {
      if (this.#endedBy.size >= endedByMax) this.#endedBy.clear();
      this.#endedBy.set(name, state.by.key);
    }
    return state;
  }

  #tellPlainly(pending: PendingLeaf): void {
    const { device, key, deleted, updated, merged } = pending;
    if (deleted !== null) this.#remove(device, key, this.#deleteTimeNs(pending, deleted, updated?.timestampNs ?? null));
    if (updated === null) return;
    this.#update(device, { key, value: valueOf(updated), timestampNs: updated.timestampNs, duplicates: merged });
  }

  /** G1: what waits of a leaf that is sent now goes before it. Returns how many updates the new value stands for. */
  #catchUp(device: string, key: string, nextNs: bigint): number {
    const pending = this.#options.outbox.takeLeaf(device, key);
    if (pending === undefined) return 0;
    const { deleted } = pending;
    if (deleted !== null) this.#remove(device, key, this.#deleteTimeNs(pending, deleted, nextNs));
    return pending.merged;
  }

  sync(): void {
    this.#encoder.sync();
  }

  flush(): void {
    this.#encoder.flush();
    this.#count();
  }

  close(): void {
    this.#count();
  }

  /** The latest time that the reader was told of the device with, beside those of the leaves that are stored; null: none. */
  toldNs(device: string): bigint | null {
    let latestNs: bigint | null = null;
    for (const timestampNs of this.#told.get(device)?.values() ?? []) latestNs = laterOf(latestNs, timestampNs);
    return latestNs;
  }

  #noteTold(device: string, rootKey: string, timestampNs: bigint | null): void {
    const groups = this.#told.get(device);
    if (timestampNs === null) {
      groups?.delete(rootKey);
      if (groups?.size === 0) this.#told.delete(device);
    } else if (groups === undefined) this.#told.set(device, new Map([[rootKey, timestampNs]]));
    else groups.set(rootKey, timestampNs);
  }

  /**
   * G5. Just behind what the reader has of the leaf, and no later than what follows. When a device deleted a leaf is not
   * stored, and our time of receipt is of another clock: behind a device's that is ahead it would delete nothing (D6),
   * ahead of it the leaf's next value would be late (D7).
   */
  #deleteTimeNs({ device, roots, formerNs }: PendingLeaf, deleted: PendingChange, nextNs: bigint | null): bigint {
    const formerly = 'formerly' in deleted ? deleted.formerly : null;
    if (formerly === null) return deleted.timestampNs;
    const groups = this.#told.get(device);
    let heardNs = laterOf(formerly.timestampNs, formerNs ?? formerly.timestampNs);
    for (const rootKey of roots) heardNs = laterOf(heardNs, groups?.get(rootKey) ?? heardNs);
    const afterNs = behind(heardNs);
    return nextNs !== null && nextNs < afterNs ? nextNs : afterNs;
  }

  #update(device: string, leaf: LeafToSend): void {
    this.#encoder.update(device, leaf);
    this.#noteSent(device, leaf);
  }

  #remove(device: string, key: string, timestampNs: bigint): void {
    this.#encoder.remove(device, key, timestampNs);
    this.#noteRemoved(device, key);
  }

  #noteSent(device: string, { key, value }: LeafToSend): void {
    this.#updates += 1;
    this.#options.lastSent.sent(device, key, () => this.#options.context.paths.of(key).elems, value);
  }

  #noteRemoved(device: string, key: string): void {
    this.#deletes += 1;
    this.#options.lastSent.removed(device, key);
  }

  #count(): void {
    const { metrics } = this.#options.context;
    const { messages } = this.#options.writer;
    const { coalesced } = this.#options.outbox;
    metrics.messages.inc(messages - this.#messages);
    metrics.coalesced.inc(coalesced - this.#coalesced);
    metrics.updates.inc(this.#updates);
    metrics.deletes.inc(this.#deletes);
    this.#messages = messages;
    this.#coalesced = coalesced;
    this.#updates = 0;
    this.#deletes = 0;
  }
}

/** A reader may still have the leaf for one of another group, and take that for gone with it (A5) until it has ended (A6). */
function isOfOther({ roots }: PendingLeaf, rootKey: string): boolean {
  return roots.some((root) => root !== rootKey);
}

function valueOf(change: PendingChange): Buffer {
  return change.leaf?.value ?? noValue;
}

const noValue = Buffer.alloc(0);
