import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import { type Clock, type Timer } from '../core/clock.ts';
import { invalid, isRefusal, type Refusal, refuseCall } from '../core/gnmi/refusal.ts';
import { SampleSchedule } from '../core/gnmi/sample-schedule.ts';
import { decodeRequest } from '../core/gnmi/service-definition.ts';
import { planSubscribe, viewKey } from '../core/gnmi/subscribe-plan.ts';
import { gnmi, type SubscribeRequest } from '../schemas/gnmi.ts';
import { formatPath } from '../schemas/path.ts';
import { deviceForm, type DeviceLimits, type DevicePlan } from './device-form.ts';
import { type DeviceTree } from './device-tree.ts';
import { leafFilter, type LeafFilter } from './leaf-filter.ts';
import { encodeHugeMessage, syncMessage } from './notification-encoder.ts';
import { Outbox, type OutboxBounds } from './outbox.ts';
import { type SubscriberHub } from './subscriber-hub.ts';
import { encodeLeaves, encodeWalk, type SubscriberView } from './subscriber-view.ts';

/**
 * One Subscribe RPC of a device.
 *
 * R1. It joins the hub before it walks, and walks in one turn: no change is missed, none is overtaken by an older walked
 *     value (S13).
 * R2. Whatever ends it (cancel, reset, error, a slow reader), it leaves the hub and cancels its timer at once (S6).
 */
export interface StreamContext {
  readonly tree: DeviceTree;
  readonly hub: SubscriberHub;
  readonly clock: Clock;
  readonly bounds: OutboxBounds;
  limits(): DeviceLimits;
  /** Runs it now, or when a stall ends. */
  whenAnswering(work: () => void): void;
  readonly answering: boolean;
  readonly synced: boolean;
  /** A message to add after each walk; null: none. */
  readonly hugeBytes: number | null;
  streamEnded(stream: SubscriptionStream, overflowed: boolean): void;
}

export type SubscribeCall = ServerDuplexStream<Buffer, Buffer>;

export class SubscriptionStream {
  readonly #context: StreamContext;
  readonly #call: SubscribeCall;
  readonly #outbox: Outbox;
  #plan: DevicePlan | null = null;
  #schedule: SampleSchedule | null = null;
  #timer: Timer | null = null;
  #leave: (() => void) | null = null;
  /** Versions last sent, for subscriptions that suppress what did not change. */
  readonly #sentVersions = new Map<number, number>();
  #ended = false;

  constructor(context: StreamContext, call: SubscribeCall) {
    this.#context = context;
    this.#call = call;
    this.#outbox = new Outbox(
      {
        write: (message) => call.write(message),
        overflowed: () => this.#overflowed(),
      },
      context.bounds,
    );
    call.on('drain', () => this.#outbox.drained());
    call.on('data', (bytes: Buffer) => context.whenAnswering(() => this.#request(bytes)));
    call.on('end', () => context.whenAnswering(() => this.#halfClosed()));
    call.on('cancelled', () => this.#finish(false));
    call.on('error', () => this.#finish(false));
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Ends the RPC with this status. */
  refuse(refusal: Refusal): void {
    if (this.#ended) return;
    this.#finish(false);
    refuseCall(this.#call, refusal);
  }

  #request(bytes: Buffer): void {
    if (this.#ended) return;
    const request = decodeRequest(bytes, gnmi.SubscribeRequest);
    if (request === null) {
      this.refuse(invalid('the request is no SubscribeRequest'));
      return;
    }
    const refusal = this.#plan === null ? this.#first(request) : this.#later(request, this.#plan);
    if (refusal !== null) this.refuse(refusal);
  }

  #first(request: SubscribeRequest): Refusal | null {
    if (request.subscribe === undefined) return invalid('the first message must carry a subscription list'); // S1
    const limits = this.#context.limits();
    const asked = planSubscribe(request.subscribe, limits);
    if (isRefusal(asked)) return asked;
    const form = deviceForm(asked.form, limits);
    const plan: DevicePlan = { ...asked, form, key: `${form.values} ${viewKey(asked)}` };
    this.#plan = plan;
    if (plan.mode === 'STREAM') this.#stream(plan);
    else {
      this.#walk(plan); // M2: the first set of POLL comes unasked
      if (plan.mode === 'ONCE') this.#outbox.whenIdle(() => this.#close()); // M1
    }
    return null;
  }

  #later(request: SubscribeRequest, plan: DevicePlan): Refusal | null {
    if (request.subscribe !== undefined) return invalid('a second subscription list on one RPC'); // S2
    if (request.poll === undefined || plan.mode !== 'POLL') return invalid('only POLL takes further messages');
    this.#walk(plan); // M2
    return null;
  }

  #stream(plan: DevicePlan): void {
    const { tree, hub, clock } = this.#context;
    const view: SubscriberView = {
      key: plan.key,
      form: plan.form,
      onChange: this.#filter(plan, 'on-change'),
      subscribed: this.#filter(plan, 'any'),
    };
    this.#leave = hub.join(view, this.#outbox); // R1
    this.#walk(plan);
    this.#schedule = new SampleSchedule(plan.subscriptions, clock.monotonicMs());
    for (let index = 0; index < tree.leafCount; index += 1) this.#sentVersions.set(index, tree.version(index));
    this.#arm();
  }

  /** The present values and the sync; only the sync where updates are all that is wanted (M11). */
  #walk(plan: DevicePlan): void {
    const { tree, synced, hugeBytes } = this.#context;
    if (!plan.updatesOnly) {
      for (const message of encodeWalk(tree, plan.form, this.#filter(plan, 'any'))) this.#outbox.send(message);
    }
    if (synced) this.#outbox.send(syncMessage);
    if (hugeBytes !== null) this.#outbox.send(encodeHugeMessage(tree.stampNs(), hugeBytes));
  }

  #filter(plan: DevicePlan, mode: 'on-change' | 'any'): LeafFilter {
    const paths = plan.subscriptions.filter((one) => mode === 'any' || one.mode === mode).map((one) => one.path);
    return leafFilter(this.#context.tree.model, paths.map(formatPath).join('\n'), paths);
  }

  #arm(): void {
    const atMs = this.#schedule?.nextAtMs() ?? Infinity;
    if (atMs === Infinity || this.#ended) return;
    const { clock } = this.#context;
    this.#timer = clock.after(atMs - clock.monotonicMs(), () => {
      if (this.#context.answering) this.#sendDue();
      this.#arm();
    });
  }

  /** Everything due at this moment in one set: a leaf that several subscriptions want is sent once (S14). */
  #sendDue(): void {
    const { tree, clock } = this.#context;
    if (this.#plan === null || this.#schedule === null) return;
    const indexes = new Set<number>();
    // Half a millisecond ahead: timers that fall on the same tick of the clock belong together.
    for (const { subscription, whole } of this.#schedule.take(clock.monotonicMs() + 0.5)) {
      const filter = leafFilter(tree.model, formatPath(subscription.path), [subscription.path]);
      for (let index = 0; index < tree.leafCount; index += 1) {
        if (!tree.has(index) || !filter.covers(tree.shape(index))) continue;
        if (whole || this.#sentVersions.get(index) !== tree.version(index)) indexes.add(index); // M7, M8
      }
    }
    if (indexes.size === 0) return;
    const inOrder = [...indexes].sort((a, b) => a - b);
    for (const index of inOrder) this.#sentVersions.set(index, tree.version(index));
    for (const message of encodeLeaves(tree, this.#plan.form, inOrder, tree.stampNs())) this.#outbox.send(message);
  }

  /** A reader that will send nothing more still reads a STREAM; a POLL is over. */
  #halfClosed(): void {
    if (this.#ended) return;
    if (this.#plan === null)
      this.refuse(invalid('the RPC ended before its subscription list')); // S1
    else if (this.#plan.mode === 'POLL') this.#outbox.whenIdle(() => this.#close());
  }

  #close(): void {
    if (this.#ended) return;
    this.#finish(false);
    this.#call.end();
  }

  #overflowed(): void {
    if (this.#ended) return;
    this.#finish(true);
    const details = 'the reader is too slow: its queue is full';
    refuseCall(this.#call, { code: status.RESOURCE_EXHAUSTED, details });
  }

  #finish(overflowed: boolean): void {
    if (this.#ended) return;
    this.#ended = true; // R2
    this.#timer?.cancel();
    this.#leave?.();
    this.#outbox.close();
    this.#context.streamEnded(this, overflowed);
  }
}
