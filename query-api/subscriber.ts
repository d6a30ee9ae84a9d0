/**
 * One stream: what a subscriber is sent, and when.
 *
 *   walk ──▶ part of a device ─────────────┐
 *   listen ─▶ open ──seal──▶ sealed ───────┼─▶ events ─▶ writer ─▶ client     one step after another, as credit allows
 *   behind ─▶ replay from the log ─▶ open ─┘
 *
 * SS1. It listens before anything else, and every change of its slots has one way to the client: the walk brings it
 *      (SW1), the log does (SR1), or the queue takes it. So nothing is lost, repeated or overtaken.
 * SS2. A slot whose changes the queue has no room for is behind from that position on, and is read from the log again.
 * SS3. `synced` comes when a generation was written that was sealed with every slot walked and none behind.
 * SS4. When it cannot go on from where the client stands, it says so by a gap of all devices and begins anew.
 * SS5. What waits when a device joins, in the queue or for room in it, is written before the device is walked: some of it
 *      may be of that device, from a time when it belonged to the stream before.
 */
import { setImmediate as nextTurn } from 'node:timers';
import { type Clock, type Timer } from '../core/clock.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { type ValueEncoding } from '../schemas/value.ts';
import { type ChangeTexts } from './change-text.ts';
import { type DeviceGaps, type DeviceLoss, joinLosses } from './device-gaps.ts';
import { formatLeaf } from './leaf-json.ts';
import { type StreamMetrics } from './stream-metrics.ts';
import { type StateView } from './replica.ts';
import { type SlotFreshness } from './slot-freshness.ts';
import {
  deviceGapText,
  eventsOf,
  formatEvent,
  retryText,
  type StreamEvent,
  type StreamGap,
  streamGapText,
} from './sse-text.ts';
import { type LeafChange, type StateListener } from './state-feed.ts';
import { type StreamSink } from './stream-answer.ts';
import { StreamCursor } from './stream-cursor.ts';
import { StreamEvents } from './stream-events.ts';
import { type StreamFilter } from './stream-filter.ts';
import { StreamQueue } from './stream-queue.ts';
import { StreamReplay } from './stream-replay.ts';
import { StreamWalk } from './stream-walk.ts';
import { StreamWriter } from './stream-writer.ts';

export interface SubscriberOptions {
  readonly state: StateView;
  readonly filter: StreamFilter;
  readonly encoding: ValueEncoding;
  /** Where the client stands in every slot; empty: it has nothing. */
  readonly from: readonly Position[];
  /** The client stands where no one can go on from. */
  readonly gap: StreamGap | null;
  readonly texts: ChangeTexts;
  readonly deviceGaps: Pick<DeviceGaps, 'listen'>;
  readonly limits: { maxQueuedLeaves: number; streamHeartbeatMs: number; maxBlockedMs: number };
  readonly clock: Clock;
  readonly metrics: StreamMetrics;
}

/** The slot is with other instances now: the client is better off there. */
export type StreamEnd = 'absent';

/** Changes of so many ms leave together: 20,000 leaves/s make 200 writes, and 5 ms are no age. */
const pauseMs = 5;
/** Other work waits no longer than this for one stream. */
const turnMs = 5;
/** How soon a device that begins to match a label is part of the stream, at the latest. */
const joinMs = 1_000;
/** How soon it is noticed that a slot that is read anew has been. */
const reloadPollMs = 100;

export class Subscriber implements StateListener {
  readonly #options: SubscriberOptions;
  readonly #queue: StreamQueue;
  readonly #cursor = new StreamCursor(() => this.#options.state.logTag);
  readonly #events: StreamEvents;
  readonly #walk: StreamWalk;
  readonly #replay: StreamReplay;
  readonly #ended = new AbortController();
  readonly #lost = new Map<string, DeviceLoss>();
  #gap: StreamGap | null;
  #isSynced = false;
  #settlesWhenWritten = false;
  #isHeartbeatDue = false;
  #walksNext = true;
  #seals = 0;
  /** No device is walked before so many seals (SS5). */
  #walksAfterSeals = 0;
  #sealedMonotonicMs = Number.NEGATIVE_INFINITY;
  #turnMonotonicMs = 0;
  #coalesced = 0;
  #failure: Error | null = null;
  #wakeUp: () => void = () => undefined;
  #isAwake = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { filter, limits, state, metrics, texts, encoding } = options;
    this.#gap = options.gap;
    this.#queue = new StreamQueue(limits.maxQueuedLeaves);
    this.#events = new StreamEvents({ queue: this.#queue, cursor: this.#cursor, texts, encoding });
    this.#walk = new StreamWalk(filter);
    this.#replay = new StreamReplay({
      feed: state.feed,
      signal: this.#ended.signal,
      take: (changes, at, through) => this.#takeReplayed(changes, at, through),
      covers: (change) => this.#isWanted(change),
      concerns: (change) => filter.covers(change),
      wake: () => {
        this.#pump();
        this.#wake();
      },
      onReplay: () => metrics.replays.inc({ reason: this.#isSynced ? 'behind' : 'resume' }),
    });
  }

  /** Writes the stream until its signal aborts, which rejects, or it ends by itself. */
  async run(sink: StreamSink): Promise<StreamEnd> {
    const { state, filter, limits, clock, deviceGaps } = this.#options;
    const writer = new StreamWriter(sink, clock, limits.maxBlockedMs);
    const onAbort = (): void => {
      this.#ended.abort(sink.signal.reason);
      this.#wake();
    };
    sink.signal.addEventListener('abort', onAbort, { once: true });
    const timers: Timer[] = [
      clock.every(limits.streamHeartbeatMs, () => this.#onHeartbeat()),
      clock.every(joinMs, () => this.#onJoin()),
    ];
    const leave = state.feed.listen(this, filter.slots); // SS1
    const leaveGaps = deviceGaps.listen((device, loss) => this.#onDeviceGap(device, loss));
    try {
      await writer.write(retryText);
      if (this.#gap === null) this.#begin(this.#options.from);
      for (;;) {
        const end = await this.#step(writer);
        if (end !== null) return end;
        await this.#endTurn(sink.signal);
      }
    } finally {
      leave();
      leaveGaps();
      for (const timer of timers) timer.cancel();
      sink.signal.removeEventListener('abort', onAbort);
      this.#ended.abort(new Error('the stream has ended'));
      this.#countCoalesced();
    }
  }

  onChanges(slot: Slot, changes: readonly LeafChange[], through: Position): void {
    if (this.#gap !== null || this.#replay.isBehind(slot)) return;
    const wanted = changes.filter((change) => this.#isWanted(change));
    const taken = this.#queue.put(wanted, 0, through);
    if (taken < wanted.length) this.#replay.add(this.#queue.through(slot) ?? { slot, epoch: 0n, seq: 0n }); // SS2
    if (wanted.length > 0) this.#wake();
  }

  onReset(): void {
    this.#gap ??= 'cursor-unknown'; // SS4
    this.#wake();
  }

  #takeReplayed(changes: readonly LeafChange[], at: number, through: Position): number {
    const next = this.#queue.put(changes, at, through);
    // A batch holds nothing that the walk brought when it was read: what it brings now has waited since before the join.
    const isOfJoined = !this.#walk.isOver && changes.slice(at, next).some((change) => this.#walk.brings(change));
    if (isOfJoined) this.#walksAfterSeals = this.#seals + 1; // SS5
    return next;
  }

  #isWanted(change: LeafChange): boolean {
    return this.#options.filter.covers(change) && !this.#walk.brings(change);
  }

  #onHeartbeat(): void {
    this.#isHeartbeatDue = true;
    this.#wake();
  }

  #onJoin(): void {
    if (this.#gap !== null) return;
    const { filter } = this.#options;
    const joined = filter.joined();
    if (joined.length === 0) return;
    this.#walk.add(joined);
    if (this.#queue.openLength > 0) this.#walksAfterSeals = this.#seals + 1; // SS5; what is sealed goes first anyway
    for (const device of joined) {
      const slot = filter.slotOf(device);
      this.#cursor.delete(slot); // SC1
      this.#queue.exclude(slot);
    }
    this.#wake();
  }

  #onDeviceGap(device: string, loss: DeviceLoss): void {
    if (!this.#options.filter.isMember(device)) return;
    const before = this.#lost.get(device);
    this.#lost.set(device, before === undefined ? loss : joinLosses(before, loss));
    this.#wake();
  }

  /** In one turn: what the client has, what is walked, and from where on changes are queued (SS1). */
  #begin(from: readonly Position[]): void {
    const { filter, state } = this.#options;
    const present = filter.present();
    for (const position of from) {
      this.#cursor.set(position);
      this.#queue.start(position);
      this.#replay.add(position);
    }
    if (from.length > 0) return;
    this.#walk.add(present);
    for (const slot of filter.slots) {
      const complete = state.complete(slot);
      if (complete !== null) this.#queue.start(complete);
    }
  }

  /** One thing that can be done now, the first of them; waits when there is none. */
  async #step(writer: StreamWriter): Promise<StreamEnd | null> {
    this.#pump();
    if (this.#failure !== null) throw this.#failure;
    if (this.#gap !== null) return this.#beginAnew(writer, this.#gap);
    if (this.#isHeartbeatDue) await this.#writeHeartbeat(writer);
    else if (this.#lost.size > 0) await this.#writeDeviceGap(writer);
    else if (this.#queue.sealedLength > 0) await this.#writeSealed(writer);
    else if (this.#walksNext && this.#mayWalk) await this.#writeWalk(writer);
    else if (this.#queue.openLength > 0) await this.#seal();
    else if (this.#settles()) await this.#writeSynced(writer);
    else {
      await this.#woken();
      this.#walksNext = true;
    }
    return null;
  }

  get #mayWalk(): boolean {
    return !this.#walk.isOver && this.#seals >= this.#walksAfterSeals;
  }

  /** The log is read while the client is written to: a slow one finds its sampled values merged. */
  #pump(): void {
    for (;;) {
      const step = this.#replay.step();
      if (step.kind === 'gap') this.#gap ??= step.reason;
      if (step.kind === 'failed') this.#failure = step.error;
      if (step.kind !== 'moved') return;
    }
  }

  /** SS4. */
  async #beginAnew(writer: StreamWriter, reason: StreamGap): Promise<StreamEnd | null> {
    const { metrics } = this.#options;
    if (this.#kinds().includes('absent')) return 'absent'; // another instance goes on from its cursor
    this.#queue.clear();
    this.#cursor.clear();
    this.#walk.clear();
    this.#replay.clear();
    this.#walksAfterSeals = 0;
    this.#isSynced = false;
    this.#settlesWhenWritten = false;
    metrics.gaps.inc({ reason });
    await this.#write(writer, 'gap', streamGapText(reason), this.#cursor.text);
    for (;;) {
      const kinds = this.#kinds();
      if (kinds.includes('absent')) return 'absent';
      if (!kinds.includes('incomplete')) break;
      await this.#options.clock.sleep(reloadPollMs, this.#ended.signal);
    }
    this.#gap = null;
    this.#begin([]);
    return null;
  }

  #kinds(): SlotFreshness['kind'][] {
    const { filter, state } = this.#options;
    return filter.slots.map((slot) => state.freshness(slot).kind);
  }

  async #seal(): Promise<void> {
    const waitMs = this.#sealedMonotonicMs + pauseMs - this.#options.clock.monotonicMs();
    if (waitMs > 0) await this.#options.clock.sleep(waitMs, this.#ended.signal);
    if (this.#gap !== null) return;
    this.#sealNow();
  }

  #sealNow(): void {
    this.#queue.seal((slot) => !this.#walk.isWhole(slot));
    this.#seals += 1;
    this.#sealedMonotonicMs = this.#options.clock.monotonicMs();
    this.#settlesWhenWritten = !this.#isSynced && this.#walk.isOver && this.#replay.isOver;
  }

  async #writeSealed(writer: StreamWriter): Promise<void> {
    const { clock, metrics } = this.#options;
    const { text, events } = this.#events.next(clock.nowNs());
    for (const event of events) metrics.events.inc({ event });
    await writer.write(text);
    if (this.#queue.sealedLength > 0) return;
    this.#walksNext = true;
    this.#countCoalesced();
    if (this.#settlesWhenWritten && this.#gap === null) await this.#writeSynced(writer);
  }

  async #writeWalk(writer: StreamWriter): Promise<void> {
    const { clock, encoding } = this.#options;
    this.#walksNext = this.#queue.openLength === 0; // a generation and a part of a device take turns
    const part = this.#walk.next((slot) => !this.#replay.isBehind(slot));
    if (part === undefined) {
      this.#walksNext = false;
      return;
    }
    const nowNs = clock.nowNs();
    // Formatted in the turn in which they were read, written as fast as the client takes them.
    const texts = part.leaves.map((leaf) => formatLeaf(leaf, part.slot, encoding, nowNs));
    for (const data of eventsOf(texts)) {
      if (this.#gap !== null) return; // SS4: what stands here is of a slot that was read anew since
      await this.#write(writer, 'update', data, this.#id);
    }
  }

  #settles(): boolean {
    return !this.#isSynced && this.#walk.isOver && this.#replay.isOver;
  }

  /** SS3. Nothing is sealed, so the generation that ends here is empty or was just written. */
  async #writeSynced(writer: StreamWriter): Promise<void> {
    if (!this.#settlesWhenWritten) this.#sealNow();
    if (this.#queue.sealedLength > 0) return;
    for (const position of this.#queue.whole) this.#cursor.set(position);
    this.#isSynced = true;
    this.#settlesWhenWritten = false;
    const cursor = this.#cursor.text;
    await this.#write(writer, 'synced', JSON.stringify({ cursor }), cursor);
  }

  async #writeHeartbeat(writer: StreamWriter): Promise<void> {
    const { state, filter } = this.#options;
    this.#isHeartbeatDue = false;
    if (this.#queue.openLength === 0 && this.#queue.sealedLength === 0) {
      this.#sealNow(); // what moved without anything to send moves the cursor
      for (const position of this.#queue.whole) this.#cursor.set(position);
    }
    const ageMs = worstMs(filter.slots.map((slot) => state.freshness(slot)));
    await this.#write(writer, 'heartbeat', JSON.stringify({ ageMs }), this.#id);
  }

  async #writeDeviceGap(writer: StreamWriter): Promise<void> {
    for (const [device, loss] of this.#lost) {
      this.#lost.delete(device);
      this.#options.metrics.gaps.inc({ reason: 'device' });
      await this.#write(writer, 'gap', deviceGapText(device, loss), this.#id);
    }
  }

  get #id(): string | null {
    return this.#cursor.isEmpty ? null : this.#cursor.text;
  }

  async #write(writer: StreamWriter, event: StreamEvent, data: string, id: string | null): Promise<void> {
    this.#options.metrics.events.inc({ event });
    await writer.write(formatEvent(event, data, id));
  }

  #countCoalesced(): void {
    this.#options.metrics.coalesced.inc(this.#queue.coalesced - this.#coalesced);
    this.#coalesced = this.#queue.coalesced;
  }

  #wake(): void {
    this.#isAwake = true;
    this.#wakeUp();
  }

  async #woken(): Promise<void> {
    if (!this.#isAwake) await new Promise<void>((resolve) => (this.#wakeUp = resolve));
    this.#isAwake = false;
  }

  /** Throws when the stream is to end; gives the turn to others when it has lasted. */
  async #endTurn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const monotonicMs = this.#options.clock.monotonicMs();
    if (monotonicMs - this.#turnMonotonicMs < turnMs) return;
    await new Promise<void>((resolve) => nextTurn(resolve));
    this.#turnMonotonicMs = this.#options.clock.monotonicMs();
  }
}

/** null while it is not known of one of them. */
function worstMs(slots: readonly SlotFreshness[]): number | null {
  let worst = 0;
  for (const freshness of slots) {
    if (freshness.kind === 'absent' || freshness.kind === 'incomplete') return null;
    worst = Math.max(worst, freshness.stalenessMs);
  }
  return Math.ceil(worst);
}
