/** Puts leaves, groups and what waits of them into messages: rules G1 and G2 of `gnmi-stream.ts`, and the counts. */
import { type ResponseForm } from '../core/gnmi/response-form.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { GnmiEncoder, type LeafToSend } from './gnmi-encoder.ts';
import { type HealthLeaf } from './gnmi-health.ts';
import { type AtomicGroup } from './gnmi-hub.ts';
import { type GnmiOutbox, type Pending, type PendingChange, type PendingLeaf } from './gnmi-outbox.ts';
import { type StoredGroup, type WalkSink } from './gnmi-walk.ts';
import { type GnmiWriter } from './gnmi-writer.ts';
import { type LastSent } from './last-sent.ts';
import { type LeafView } from './store.ts';

export interface GnmiTellerOptions {
  readonly context: GnmiContext;
  readonly form: ResponseForm;
  readonly writer: GnmiWriter;
  readonly outbox: GnmiOutbox;
  readonly lastSent: LastSent;
}

export class GnmiTeller implements WalkSink {
  readonly #options: GnmiTellerOptions;
  readonly #encoder: GnmiEncoder;
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
    const duplicates = this.#catchUp(device, key);
    this.#update(device, { key, value, timestampNs, duplicates });
  }

  health(device: string, { key, value }: HealthLeaf): void {
    const duplicates = this.#catchUp(device, key);
    this.#update(device, { key, value, timestampNs: this.#options.context.clock.nowNs(), duplicates });
  }

  group(device: string, { origin, root, timestampNs, leaves }: StoredGroup): void {
    const toSend = leaves.map((leaf) => ({
      key: leaf.key,
      value: leaf.value,
      timestampNs,
      duplicates: this.#catchUp(device, leaf.key),
    }));
    this.#encoder.atomic(device, { origin, root, timestampNs, leaves: toSend, removed: [] });
    for (const leaf of toSend) this.#noteSent(device, leaf);
  }

  /** An entry of the outbox, in its turn. */
  tell(pending: Pending): void {
    if (pending.kind === 'leaf') this.#tellLeaf(pending);
    else if (pending.kind === 'sync') this.sync();
    else if (pending.kind === 'device-removed') {
      this.#encoder.removeDevice(pending.device, pending.timestampNs);
      this.#options.lastSent.forget(pending.device); // not earlier: what waited before it was told until now
      this.#deletes += 1;
    }
  }

  #tellLeaf(pending: PendingLeaf): void {
    const { device, key, deleted, updated } = pending;
    const group = groupOf(updated) ?? (updated === null ? groupOf(deleted) : null);
    if (group !== null && this.#tellGroup(device, group, pending)) return;
    if (deleted !== null) this.#remove(device, key, timestampOf(deleted));
    if (updated !== null) {
      const { value, timestampNs } = valueOf(updated);
      this.#update(device, { key, value, timestampNs, duplicates: pending.merged });
    }
  }

  /** G2. False: of the group's leaves none waits, only what the message took away. */
  #tellGroup(device: string, group: AtomicGroup, first: PendingLeaf): boolean {
    const { outbox } = this.#options;
    const leaves: LeafToSend[] = [];
    const removed: string[] = [];
    const waiting = group.changes.flatMap(({ key }) => (key === first.key ? first : (outbox.get(device, key) ?? [])));
    if (!waiting.some(({ updated }) => groupOf(updated) === group)) return false;
    for (const { key, deleted, updated, merged } of waiting) {
      const isUpdate = groupOf(updated) === group;
      const isRemoved = updated === null && groupOf(deleted) === group;
      if (!isUpdate && !isRemoved) continue; // a later message has changed it: that comes in its turn
      if (key !== first.key) outbox.takeLeaf(device, key);
      if (isUpdate && deleted !== null) this.#remove(device, key, timestampOf(deleted));
      if (isUpdate && updated !== null) leaves.push({ key, ...valueOf(updated), duplicates: merged });
      else removed.push(key);
    }
    const { origin, root, timestampNs } = group;
    this.#encoder.atomic(device, { origin, root, timestampNs, leaves, removed });
    for (const leaf of leaves) this.#noteSent(device, leaf);
    for (const key of removed) this.#noteRemoved(device, key);
    return true;
  }

  /** G1: what waits of a leaf that is sent now goes before it. Returns how many updates the new value stands for. */
  #catchUp(device: string, key: string): number {
    const pending = this.#options.outbox.takeLeaf(device, key);
    if (pending === undefined) return 0;
    if (pending.deleted !== null) this.#remove(device, key, timestampOf(pending.deleted));
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

function groupOf(change: PendingChange | null): AtomicGroup | null {
  return change !== null && 'group' in change ? change.group : null;
}

function timestampOf(change: PendingChange): bigint {
  return 'change' in change ? change.change.timestampNs : change.timestampNs;
}

function valueOf(change: PendingChange): { readonly value: Buffer; readonly timestampNs: bigint } {
  if (!('change' in change)) return { value: change.leaf.value, timestampNs: change.timestampNs };
  return { value: change.change.leaf?.value ?? noValue, timestampNs: change.change.timestampNs };
}

const noValue = Buffer.alloc(0);
