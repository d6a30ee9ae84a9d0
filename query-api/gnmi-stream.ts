/**
 * What one subscription list is sent, and in which order: first the present values, then the sync, then changes and
 * samples. Knows nothing of gRPC.
 *
 *   hub ──▶ outbox ──┐
 *   store ──▶ walk ──┴──▶ encoder ──▶ writer
 *
 * G1. A leaf is sent together with what waits of it in the outbox: its delete first, then the newest value. So a walk and
 *     the outbox may take turns without an older value following a newer one.
 * G2. Of an atomic group that has changed, all that is stored goes out in one notification, with the deletes that wait of
 *     it. A leaf of a group is never told alone, set or deleted: a reader would take the group for gone with it (A5), or
 *     for ended (A3).
 * G3. The leaves of a device that is gone are told before its delete, those of a device that is new behind the delete that
 *     may still wait: both stand in the outbox, and the new device is walked in its turn there.
 * G4. No sync stands behind half a set: a slot that was forgotten in mid-walk ends the stream, also where nobody tells
 *     (ONCE and POLL are not in the hub).
 * G5. A delete has a time by the device's clock: a reader that takes deletes for strictly older (D6) and refuses what is
 *     older than a delete (D7) has the leaf no more, and takes its next value.
 * G6. Samples that are due wait for the changes that stood in the outbox before them and for every marker, not for changes
 *     that come after: a reader that is slower than its changes is sampled too.
 */
import { status } from '@grpc/grpc-js';
import { type Timer } from '../core/clock.ts';
import { type Refusal } from '../core/gnmi/refusal.ts';
import { SampleSchedule } from '../core/gnmi/sample-schedule.ts';
import { type PlannedSubscription, type SubscribePlan } from '../core/gnmi/subscribe-plan.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { slotsOf } from './api-context.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { GnmiCoverage } from './gnmi-coverage.ts';
import { behind, laterOf } from './gnmi-group.ts';
import { watchForgotten } from './forgotten-slots.ts';
import { type FedChange, type HealthChange, type HubReader } from './gnmi-hub.ts';
import { GnmiOutbox, type Marker } from './gnmi-outbox.ts';
import { refuseIncomplete, unavailable } from './gnmi-request.ts';
import { GnmiTeller } from './gnmi-teller.ts';
import { GnmiWalk } from './gnmi-walk.ts';
import { type GnmiWriter } from './gnmi-writer.ts';
import { leavesInPages } from './leaf-pages.ts';
import { LastSent } from './last-sent.ts';

export interface GnmiStreamOptions {
  readonly context: GnmiContext;
  readonly writer: GnmiWriter;
  readonly plan: SubscribePlan;
  readonly depth: number;
  /** Null: all devices. */
  readonly device: string | null;
  /** There may be something to do. */
  readonly wake: () => void;
  readonly end: (refusal: Refusal | null) => void;
}

/** A walk, and whether a sync follows it. */
interface Pass {
  readonly walk: GnmiWalk;
  readonly sync: boolean;
  /** A slot that was forgotten since the walk began (G4). */
  readonly forgotten?: () => Slot | undefined;
}

export class GnmiStream implements HubReader {
  readonly device: string | null;
  readonly wantsHealth: boolean;
  readonly #options: GnmiStreamOptions;
  readonly #all: GnmiCoverage;
  readonly #onChange: GnmiCoverage;
  readonly #coverages = new Map<readonly PlannedSubscription[], GnmiCoverage>();
  readonly #outbox: GnmiOutbox;
  readonly #teller: GnmiTeller;
  readonly #lastSent: LastSent;
  /** Devices of which this stream has heard: with `*`, those that there are. */
  readonly #joined = new Set<string>();
  #passes: Pass[] = [];
  #polls = 0;
  /** How many entries of the outbox are told before the samples that are due (G6); null: none are. */
  #aheadOfSamples: number | null = null;
  #schedule: SampleSchedule | null = null;
  #timer: Timer | null = null;
  #leave: (() => void) | null = null;
  #ending: { readonly refusal: Refusal | null } | null = null;

  constructor(options: GnmiStreamOptions) {
    this.#options = options;
    this.device = options.device;
    const { context, plan, depth } = options;
    const { paths } = context.state.store;
    const coverage = (subscriptions: readonly PlannedSubscription[]): GnmiCoverage =>
      new GnmiCoverage(
        paths,
        subscriptions.map(({ path }) => path),
        depth,
      );
    this.#all = coverage(plan.subscriptions);
    this.#onChange = coverage(plan.subscriptions.filter(({ mode }) => mode === 'on-change'));
    const suppressing = plan.subscriptions.filter(({ suppressRedundant }) => suppressRedundant);
    this.#lastSent = new LastSent(coverage(suppressing));
    this.wantsHealth = plan.mode === 'STREAM' && this.#onChange.coversAnyHealth();
    this.#outbox = new GnmiOutbox(context.limits.gnmiMaxQueuedLeaves);
    this.#teller = new GnmiTeller({
      context,
      form: plan.form,
      writer: options.writer,
      outbox: this.#outbox,
      coverage: this.#all,
      onChange: this.#onChange,
      lastSent: this.#lastSent,
    });
  }

  begin(devices: readonly string[]): void {
    const { plan, context } = this.#options;
    for (const device of devices) this.#joined.add(device);
    if (plan.mode === 'STREAM') {
      this.#leave = context.hub.join(this); // R1 of gnmi-subscription.ts: before the walk
      this.#schedule = new SampleSchedule(plan.subscriptions, context.clock.monotonicMs());
      this.#arm();
    }
    this.#passes.push(this.#wholePass(plan.updatesOnly ? [] : devices)); // M11
  }

  /** All of `devices`, and the sync. */
  #wholePass(devices: readonly string[]): Pass {
    const { state, slots } = this.#options.context;
    const forgotten = watchForgotten(state, slotsOf(devices, slots));
    return { walk: this.#walk(devices, this.#all), sync: true, forgotten };
  }

  poll(): void {
    this.#polls += 1;
  }

  /** Those that have not begun to be answered. */
  get polls(): number {
    return this.#polls;
  }

  /** Sends until `mustStop` says so, or there is nothing more to send: then false. */
  work(mustStop: () => boolean): boolean {
    const more = this.#workOn(mustStop);
    this.#teller.flush();
    const ending = this.#ending;
    if (!more && ending !== null) this.#options.writer.whenIdle(() => this.#options.end(ending.refusal));
    return more;
  }

  #workOn(mustStop: () => boolean): boolean {
    for (;;) {
      const [pass] = this.#passes;
      if (pass !== undefined) {
        if (!pass.walk.step(mustStop)) return true;
        this.#passes.shift();
        if (pass.sync) this.#walked(pass);
      } else if (this.#outbox.length > 0 && this.#aheadOfSamples !== 0) {
        const pending = this.#outbox.take();
        if (this.#aheadOfSamples !== null) this.#aheadOfSamples -= 1;
        if (pending?.kind === 'device-added') {
          this.#passes.push({ walk: this.#walk([pending.device], this.#all), sync: false }); // G3
        } else if (pending !== undefined) this.#teller.tell(pending);
      } else if (!this.#nextPass() && this.#outbox.length === 0) return false;
      if (mustStop()) return true;
    }
  }

  /** The present values are out: what waits in the outbox was put there before the sync (S11). */
  #walked({ forgotten }: Pass): void {
    const { plan } = this.#options;
    const slot = forgotten?.();
    if (slot !== undefined) {
      this.onSlotReset(slot); // G4
      return;
    }
    if (plan.mode === 'STREAM') this.#putMarker('sync', '');
    else this.#teller.sync();
    if (plan.mode === 'ONCE') this.#ending = { refusal: null }; // M1
  }

  #nextPass(): boolean {
    const { plan, context } = this.#options;
    this.#aheadOfSamples = null;
    if (this.#ending !== null) return false;
    if (this.#polls > 0) {
      this.#polls -= 1;
      const devices = plan.updatesOnly ? [] : this.#devicesNow();
      // A poll may have waited for those before it since it was looked at.
      const incomplete = refuseIncomplete(devices, context.slots, (slot) => context.state.freshness(slot));
      if (incomplete !== null) {
        this.#options.end(incomplete); // G4
        return false;
      }
      this.#passes.push(this.#wholePass(devices));
      return true;
    }
    // Half a millisecond ahead: timers that fall on the same tick of the clock belong together (S14).
    const due = this.#schedule?.take(context.clock.monotonicMs() + 0.5) ?? [];
    if (due.length === 0) {
      this.#arm(); // a timer may fire a little early
      return false;
    }
    const subscriptions = due.map(({ subscription }) => subscription);
    const whole = due.filter((one) => one.whole).map(({ subscription }) => subscription);
    const wholeCoverage = this.#coverageOf(whole);
    const walk = this.#walk(
      [...this.#joined],
      this.#coverageOf(subscriptions),
      whole.length === due.length ? null : wholeCoverage,
    );
    this.#passes.push({ walk, sync: false });
    this.#arm();
    return true;
  }

  #devicesNow(): readonly string[] {
    const { tables } = this.#options.context;
    return this.device === null ? [...tables.devices.entries()].map(([name]) => name) : [this.device];
  }

  /** `whole`: only what it covers is sent unchanged; null: everything is (M7, M8). */
  #walk(devices: readonly string[], coverage: GnmiCoverage, whole: GnmiCoverage | null = null): GnmiWalk {
    const { context } = this.#options;
    return new GnmiWalk({
      store: context.state.store,
      devices,
      coverage,
      groupCoverage: this.#all,
      health: (device) => (this.#all.coversAnyHealth() ? context.hub.healthOf(device) : []),
      needs: (device, key, value, elems) =>
        whole === null || whole.coversElems(key, elems()) || this.#lastSent.differs(device, key, value),
      sink: this.#teller,
    });
  }

  /** Subscriptions that fall due together mostly do so again. */
  #coverageOf(subscriptions: readonly PlannedSubscription[]): GnmiCoverage {
    for (const [known, coverage] of this.#coverages) {
      if (known.length === subscriptions.length && known.every((one, at) => one === subscriptions[at])) return coverage;
    }
    if (this.#coverages.size >= 64) this.#coverages.clear();
    const paths = subscriptions.map(({ path }) => path);
    const coverage = new GnmiCoverage(this.#options.context.state.store.paths, paths, this.#options.depth);
    this.#coverages.set(subscriptions, coverage);
    return coverage;
  }

  #arm(): void {
    const atMs = this.#schedule?.nextAtMs() ?? Infinity;
    if (atMs === Infinity || this.#timer !== null) return;
    const { clock } = this.#options.context;
    this.#timer = clock.after(Math.max(1, Math.ceil(atMs - clock.monotonicMs())), () => {
      this.#timer = null;
      this.#aheadOfSamples ??= this.#outbox.length; // G6
      this.#options.wake();
    });
  }

  onChanges(changes: readonly FedChange[]): void {
    for (const fed of changes) if (this.#joined.has(fed.change.device)) this.#heard(fed);
    if (this.#outbox.length > 0) this.#options.wake();
  }

  #heard(fed: FedChange): void {
    const { device, pathId, key, leaf, isSameValue } = fed.change;
    const { paths, metrics } = this.#options.context;
    const coverage = leaf === null ? this.#all : this.#onChange;
    if (!coverage.coversLeaf(pathId, key, () => paths.of(key).elems)) return;
    if (isSameValue) {
      metrics.suppressed.inc(); // its new time is in the store, for samples and answers
      return;
    }
    if (!this.#outbox.put(device, key, fed, leaf === null)) this.#overflowed();
  }

  onHealth(device: string, changes: readonly HealthChange[]): void {
    if (!this.#joined.has(device)) return;
    for (const change of changes) {
      if (!this.#onChange.coversHealth(change.leaf.elems)) continue;
      if (!this.#outbox.put(device, change.leaf.key, change, !change.present)) this.#overflowed();
    }
    this.#options.wake();
  }

  /** With `*`, a new device joins: its present values, without another sync. */
  onDeviceAdded(device: string): void {
    if (this.device !== null || this.#joined.has(device)) return;
    const { state, slots } = this.#options.context;
    if (state.freshness(slotOf(device, slots)).kind === 'absent') {
      this.#options.end(unavailable(`device ${device} is in a slot that is not held here; subscribe again elsewhere`));
      return;
    }
    this.#joined.add(device);
    if (!this.#options.plan.updatesOnly) this.#putMarker('device-added', device); // G3
    this.#options.wake();
  }

  /** D12. */
  onDeviceRemoved(device: string): void {
    if (!this.#joined.delete(device)) return;
    this.#putMarker('device-removed', device);
    if (this.device !== null) {
      this.#ending = { refusal: { code: status.NOT_FOUND, details: `device ${device} was removed` } };
    }
    this.#options.wake();
  }

  onSlotReset(slot: number): void {
    const { slots } = this.#options.context;
    if (this.device === null && ![...this.#joined].some((device) => slotOf(device, slots) === slot)) return;
    this.#options.end(unavailable(`slot ${slot} is read anew by this instance; subscribe again`));
  }

  onFailure(thrown: unknown): void {
    this.#options.context.logger.error({ err: thrown }, 'gnmi stream failed');
    this.#options.end({ code: status.INTERNAL, details: 'the stream failed; see the log of this instance' });
  }

  #putMarker(kind: Marker['kind'], device: string): void {
    const timestampNs = kind === 'device-removed' ? this.#removalNs(device) : this.#options.context.clock.nowNs();
    if (!this.#outbox.putMarker({ kind, device, timestampNs })) this.#overflowed();
    if (this.#aheadOfSamples !== null) this.#aheadOfSamples = this.#outbox.length; // G6
  }

  /** G5. Behind all that the reader may have of the device; what is ours of it has our time. */
  #removalNs(device: string): bigint {
    const { state, clock } = this.#options.context;
    let latestNs = this.#teller.toldNs(device);
    for (const { timestampNs } of leavesInPages(state.store, this.#all.patterns, device))
      latestNs = laterOf(latestNs, timestampNs);
    if (latestNs === null) return clock.nowNs();
    return this.#all.coversAnyHealth() ? laterOf(behind(latestNs), clock.nowNs()) : behind(latestNs);
  }

  #overflowed(): void {
    const { gnmiMaxQueuedLeaves } = this.#options.context.limits;
    const details = `the reader is too slow: more than ${gnmiMaxQueuedLeaves} leaves wait for it`;
    this.#options.end({ code: status.RESOURCE_EXHAUSTED, details });
  }

  close(): void {
    this.#leave?.();
    this.#leave = null;
    this.#timer?.cancel();
    this.#timer = null;
    this.#schedule = null;
    this.#passes = [];
    this.#polls = 0;
    this.#outbox.clear();
    this.#teller.close();
  }
}
