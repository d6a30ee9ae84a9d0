/**
 * One reader of a stream over its lives, without sockets: what the subscriber writes lies in a pipe until the reader takes
 * it, a cut loses what lies there, and the next life begins at the reader's cursor. The reader checks what it is told
 * against the log that the state keeps.
 */
import { createMetrics } from '../../core/metrics.ts';
import { ChangeTexts } from '../../query-api/change-text.ts';
import { DeviceGaps } from '../../query-api/device-gaps.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { type StateView } from '../../query-api/replica.ts';
import { type LabelFilter } from '../../query-api/parameters.ts';
import { type StreamGap } from '../../query-api/sse-text.ts';
import { type StateFeed } from '../../query-api/state-feed.ts';
import { type StatusRow } from '../../query-api/status-row.ts';
import { StreamFilter } from '../../query-api/stream-filter.ts';
import { createStreamMetrics } from '../../query-api/stream-metrics.ts';
import { type StreamLimits } from '../../query-api/streams.ts';
import { Subscriber } from '../../query-api/subscriber.ts';
import { decodeCursor } from '../../schemas/cursor.ts';
import { type Device } from '../../schemas/device.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { type Position } from '../../schemas/position.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { ReplayingState } from './replaying-state.ts';

export const slots = 2;
export const epoch = 1_700_000_000_005n;

export interface Told {
  readonly event: string;
  readonly id: string | null;
  readonly data: Record<string, unknown>;
}

export interface LifeOptions {
  readonly limits?: Partial<StreamLimits>;
  readonly labels?: readonly LabelFilter[];
  readonly names?: readonly string[] | null;
  readonly path?: string;
  /** Controls put something between the subscriber and the feed. */
  readonly wrap?: (feed: StateFeed) => StateFeed;
}

export class StreamedLife {
  readonly clock = new FakeClock();
  readonly state: ReplayingState;
  readonly devices = new Map<string, Device>();
  readonly status = new Map<string, StatusRow>();
  readonly events: Told[] = [];
  readonly metrics = createMetrics();
  readonly streamMetrics = createStreamMetrics(this.metrics);
  cursor: string | null = null;
  ended: Promise<string> = Promise.resolve('');
  /** Written and not taken. */
  pipe: { readonly text: string; readonly drained: () => void }[] = [];
  readonly #options: LifeOptions;
  readonly #texts = new ChangeTexts();
  readonly #gaps: DeviceGaps;
  #gone = new AbortController();

  constructor(options: LifeOptions = {}) {
    this.#options = options;
    const none = { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 };
    const metrics = createQueryApiMetrics(createMetrics(), none);
    this.state = new ReplayingState({ clock: this.clock, slots, epoch, metrics });
    this.state.load();
    this.#gaps = new DeviceGaps(this.status, this.clock);
  }

  async connect(gap: StreamGap | null = null): Promise<void> {
    const { path = '/', names = null, labels = [], limits, wrap } = this.#options;
    const { state, clock, devices } = this;
    const view: StateView =
      wrap === undefined
        ? state
        : {
            store: state.store,
            feed: wrap(state),
            logTag: state.logTag,
            freshness: (slot) => state.freshness(slot),
            resets: (slot) => state.resets(slot),
            complete: (slot) => state.complete(slot),
            reached: (...asked) => state.reached(...asked),
          };
    // Who comes without a cursor begins anew and has nothing, as after a gap of all devices.
    if (this.cursor === null && gap === null) this.events.push({ event: 'gap', id: null, data: { device: null } });
    const subscriber = new Subscriber({
      state: view,
      filter: new StreamFilter({
        patterns: [{ text: path, pattern: compilePattern(parsePath(path)) }],
        names,
        labels,
        store: state.store,
        devices,
        slotCount: slots,
      }),
      encoding: 'rfc7951',
      from: this.cursor === null ? [] : decodeCursor(this.cursor).positions,
      gap,
      texts: this.#texts,
      deviceGaps: this.#gaps,
      limits: { maxQueuedLeaves: 1_000, streamHeartbeatMs: 15_000, maxBlockedMs: 60_000, ...limits },
      clock,
      metrics: this.streamMetrics,
    });
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    const write = (text: string, onDrained: () => void): void => {
      if (!signal.aborted) this.pipe.push({ text, drained: onDrained });
    };
    this.ended = subscriber.run({ signal, write }).catch((thrown: unknown) => (thrown as Error).message);
    await settled();
  }

  /** Takes up to `writes` of what was written. */
  async take(writes = Number.POSITIVE_INFINITY): Promise<void> {
    for (const { text, drained } of this.pipe.splice(0, writes)) {
      for (const event of text.split('\n\n')) this.#hear(event);
      drained();
    }
    await settled();
  }

  /** Takes everything, with the time that it needs, until nothing more comes. */
  async takeAll(): Promise<void> {
    for (let idle = 0; idle < 3; idle += 1) {
      if (this.pipe.length > 0) idle = 0;
      await this.take();
      await this.clock.advance(6);
    }
  }

  async cut(): Promise<void> {
    this.pipe = [];
    this.#gone.abort(new Error('cut off'));
    await this.ended;
  }

  named(event: string): Told[] {
    return this.events.filter((told) => told.event === event);
  }

  position(): readonly Position[] {
    return this.cursor === null ? [] : decodeCursor(this.cursor).positions;
  }

  #hear(text: string): void {
    const event = /^event: (.*)$/m.exec(text)?.[1];
    if (event === undefined) return;
    const id = /^id: (.*)$/m.exec(text)?.[1] ?? null;
    if (id !== null) this.cursor = id;
    const data = text.split('\n').filter((line) => line.startsWith('data: '));
    const json = data.map((line) => line.slice('data: '.length)).join('\n');
    this.events.push({ event, id, data: JSON.parse(json) as Record<string, unknown> });
  }
}
