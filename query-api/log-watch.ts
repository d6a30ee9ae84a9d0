/**
 * Which log the topic `state` is, and how long it keeps every value. Asked at the start, every 30 s, and when the log does
 * not hold what we want of it.
 *
 * W1. A topic that was made anew, or another cluster behind the same address, is another log: what was read of the one
 *     before says nothing about it.
 * W2. The resume window is what the topic really has, if that is less than the setting. While nobody could tell us what it
 *     has, no window is promised: who comes back with a cursor begins anew, which is never wrong.
 */
import { isAbort, raceAbort } from '../core/abort.ts';
import { type Clock, type Timer } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { KafkaConnection, type KafkaOptions, type TopicConfigs } from '../core/kafka/connection.ts';
import { topicIdentity } from '../core/kafka/topic-identity.ts';
import { type Logger } from '../core/logger.ts';
import { logTag } from '../schemas/cursor.ts';

export interface LogWatchOptions {
  readonly kafka: KafkaOptions;
  /** Full name of `state`. */
  readonly topic: string;
  readonly resumeWindowMs: number;
  readonly everyMs?: number;
  /** It is another log now (W1). */
  readonly onOtherLog: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface KnownLog {
  readonly clusterId: string;
  readonly topicId: string;
  /** Of the topic; 0: not known. */
  readonly deleteRetentionMs: number;
}

const requestTimeoutMs = 5_000;
/** The tag is worth waiting for at the start: the first answers would have cursors without it. */
const firstAnswerMs = 10_000;

export class LogWatch {
  readonly #options: LogWatchOptions;
  readonly #connection: KafkaConnection;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #asking: Promise<void> | null = null;
  #tag: string | null = null;
  #known: KnownLog | null = null;
  #topicWindowMs: number | null = null;
  #isUnknownSaid = false;

  constructor(options: LogWatchOptions) {
    this.#options = options;
    this.#connection = new KafkaConnection(options.kafka, { name: 'identity of state', requestTimeoutMs });
  }

  /** For cursors; null: not known, or the brokers have no topic ids. */
  get tag(): string | null {
    return this.#tag;
  }

  /** Null: not known, or the brokers have no topic ids. */
  get log(): KnownLog | null {
    return this.#known;
  }

  /** Null: not known (W2). */
  get resumeWindowMs(): number | null {
    return this.#topicWindowMs === null ? null : Math.min(this.#options.resumeWindowMs, this.#topicWindowMs);
  }

  /** Resolves with the first answer, or without one after a while. Rejects when `signal` aborts. */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = 30_000 } = this.#options;
    this.#timer = clock.every(everyMs, () => void this.check());
    const patience = new AbortController();
    const waited = clock.sleep(firstAnswerMs, patience.signal).catch(() => undefined);
    try {
      await raceAbort(Promise.race([this.check(), waited]), signal);
    } finally {
      patience.abort();
    }
  }

  stop(): void {
    this.#stopping.abort(new Error('log watch stopped'));
    this.#timer?.cancel();
    this.#connection.destroy('the watch stops');
  }

  /** Asks now, unless an answer is under way. Never rejects. */
  check(): Promise<void> {
    return (this.#asking ??= this.#ask()
      .catch((thrown: unknown) => {
        if (this.#stopping.signal.aborted || isAbort(thrown, this.#stopping.signal)) return;
        this.#options.logger.debug({ cause: messageOf(thrown) }, 'log identity not known');
        this.#windowNotKnown(messageOf(thrown));
      })
      .finally(() => {
        this.#asking = null;
      }));
  }

  async #ask(): Promise<void> {
    const { topic, logger, onOtherLog } = this.#options;
    const identity = await topicIdentity(this.#connection, topic);
    const [configs] = await this.#connection.describeConfigs([topic]);
    const windowMs = topicWindowMs(configs);
    if (windowMs === null) this.#windowNotKnown(`describe-configs of ${topic}: code ${configs?.code ?? 'none'}`);
    else this.#topicWindowMs = windowMs;
    if (identity === null || this.#stopping.signal.aborted) return;
    const deleteRetentionMs = Number(configs?.values.get('delete.retention.ms') ?? 0);
    this.#known = { clusterId: identity.clusterId, topicId: identity.topicId.toString('hex'), deleteRetentionMs };
    const tag = logTag(identity.clusterId, identity.topicId);
    const before = this.#tag;
    this.#tag = tag;
    if (before === null || before === tag) return;
    logger.warn({ topic, clusterId: identity.clusterId, before, now: tag }, 'state is another log now');
    onOtherLog(); // W1
  }

  /** W2. Said once: it is asked for again all the time. What was known once stays. */
  #windowNotKnown(cause: string): void {
    if (this.#topicWindowMs !== null || this.#isUnknownSaid) return;
    this.#isUnknownSaid = true;
    this.#options.logger.warn({ topic: this.#options.topic, cause }, 'resume window not known, cursors begin anew');
  }
}

/** How long the topic keeps every value; null: it was not said. */
export function topicWindowMs(configs: Pick<TopicConfigs, 'code' | 'values'> | undefined): number | null {
  const lagMs = configs?.values.get('min.compaction.lag.ms') ?? '';
  return configs?.code === 0 && /^\d+$/.test(lagMs) ? Number(lagMs) : null;
}
