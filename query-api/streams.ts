/**
 * The streams of this instance: how many there are, what they share, and what becomes of them.
 *
 * ST1. At most `maxStreams`; one more is refused before it costs anything. A request has its place from the moment it is let
 *      in, or a thousand that come at once would all find room.
 * ST2. Text of a change, and the look at which devices lost something, is made once for all of them.
 */
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { type ApiContext } from './api-context.ts';
import { ChangeTexts } from './change-text.ts';
import { type QueryApiSettings } from './config.ts';
import { DeviceGaps } from './device-gaps.ts';
import { type StreamSink } from './stream-answer.ts';
import { type StreamMetrics } from './stream-metrics.ts';
import { StreamBlocked } from './stream-writer.ts';
import { Subscriber, type SubscriberOptions } from './subscriber.ts';

export type StreamLimits = Pick<
  QueryApiSettings,
  'maxStreams' | 'maxQueuedLeaves' | 'streamHeartbeatMs' | 'maxBlockedMs'
>;

export interface StreamsOptions {
  readonly context: Pick<ApiContext, 'state' | 'clock' | 'tables'>;
  readonly limits: StreamLimits;
  readonly metrics: StreamMetrics;
  readonly logger: Logger;
}

/** What one stream brings along. */
export type StreamStart = Pick<SubscriberOptions, 'filter' | 'encoding' | 'from' | 'gap'>;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #texts = new ChangeTexts(); // ST2
  readonly #deviceGaps: DeviceGaps;
  readonly #failureLines = new RateLimited();
  #places = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#deviceGaps = new DeviceGaps(options.context.tables.status, options.context.clock);
  }

  /** ST1. Takes a place until `signal`, the request's, aborts. Throws `LIMIT_EXCEEDED`. */
  takePlace(signal: AbortSignal): void {
    const { maxStreams } = this.#options.limits;
    signal.throwIfAborted();
    if (this.#places < maxStreams) {
      this.#places += 1;
      signal.addEventListener('abort', () => (this.#places -= 1), { once: true });
      return;
    }
    const detail = `this instance has ${maxStreams} streams open, the setting maxStreams allows no more`;
    throw new HoldfastError('LIMIT_EXCEEDED', detail, { retryable: true, facts: { maxStreams } });
  }

  /** Runs a stream to its end; rejects when the connection is of no use any more. */
  async run(start: StreamStart, sink: StreamSink): Promise<void> {
    const { context, limits, metrics } = this.#options;
    const { state, clock } = context;
    const shared = { state, clock, limits, metrics, texts: this.#texts, deviceGaps: this.#deviceGaps };
    metrics.open.inc();
    try {
      metrics.ended.inc({ outcome: await new Subscriber({ ...shared, ...start }).run(sink) });
    } catch (thrown) {
      if (sink.signal.aborted) {
        metrics.ended.inc({ outcome: 'left' });
        return;
      }
      metrics.ended.inc({ outcome: thrown instanceof StreamBlocked ? 'blocked' : 'failed' });
      this.#logFailure(thrown);
      throw thrown;
    } finally {
      metrics.open.dec();
    }
  }

  #logFailure(thrown: unknown): void {
    const cause = messageOf(thrown);
    const suppressed = this.#failureLines.pass(cause, this.#options.context.clock.monotonicMs());
    if (suppressed !== undefined) this.#options.logger.warn({ cause, suppressed }, 'stream ended early');
  }
}
