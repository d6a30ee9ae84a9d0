import { Backoff } from '../backoff.ts';
import { type Clock, type Timer } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { type Component } from '../lifecycle.ts';
import { RateLimited, type Logger } from '../logger.ts';
import { systemRandom, type Random } from '../random.ts';
import { loadCodecs } from './compression.ts';
import { KafkaConnection, type KafkaOptions } from './connection.ts';
import { loadNativeCrc32c } from './crc32c.ts';
import { factsOf, isDenied, type KafkaError, kafkaError } from './errors.ts';
import { decodeProduce, encodeProduce, produceApi, type ProduceAnswer } from './produce-protocol.ts';

/**
 * One per process: carries the batches of all its writers to the brokers. A broker serves a connection's requests one
 * after the other, so throughput comes from large requests: each takes one batch of every partition that has one.
 *
 * P1. A batch is taken from its source when a request is about to leave, on a connection that stands, not before: while
 *     Kafka is away the open batch goes on growing, nothing is sealed that cannot be sent, and what a source looks at
 *     before it gives a batch (its lease) is still so when the batch leaves.
 * P2. Every batch taken is answered exactly once, `answered` or `lost`; what that means for order is the source's affair.
 * P3. Nothing is given up: with a broker gone the dispatcher asks for metadata and goes on, for ever.
 */
export interface ProduceSource {
  readonly topic: string;
  readonly partition: number;
  /** The next batch, or null if there is none, or none may leave now. */
  take(): ProduceBatch | null;
}

export interface ProduceBatch {
  /** Copied before `take` is called again. */
  readonly bytes: Buffer;
  answered(answer: ProduceAnswer): void;
  /** No answer came: whether the batch was appended is unknown. */
  lost(error: KafkaError): void;
}

/** Plain numbers, read by whoever exports metrics. */
export interface ProduceCounters {
  requests: number;
  batches: number;
  bytes: number;
  ackedRecords: number;
  ackedBatches: number;
  retriedBatches: number;
  /** Producer ids taken anew to recover. */
  reinits: number;
  /** Writers that lost their slot to a newer owner. */
  fenced: number;
  /** Records that the broker refused for good; on `telemetry` a gap marker stands in their place. */
  givenUpRecords: number;
}

/** Of a process that has sent nothing: for those who only want to know the names. */
export const noProduceCounters: Readonly<ProduceCounters> = {
  requests: 0,
  batches: 0,
  bytes: 0,
  ackedRecords: 0,
  ackedBatches: 0,
  retriedBatches: 0,
  reinits: 0,
  fenced: 0,
  givenUpRecords: 0,
};

export interface ProduceDispatcherOptions {
  readonly kafka: KafkaOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
  /** How long a batch may wait for company. */
  readonly lingerMs?: number;
  readonly requestTimeoutMs?: number;
  /** A request is closed to further batches at this size. */
  readonly requestBytesMax?: number;
  readonly requestsInFlightMax?: number;
  /** Called when Kafka stops answering, and when it answers again. */
  readonly onAvailability?: (available: boolean) => void;
}

/** A batch in a request. */
interface Part {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
  readonly batch: ProduceBatch;
}

/** Requests under way to one broker. */
interface Lane {
  inFlight: number;
  opening: boolean;
  retryAtMonotonicMs: number;
  readonly backoff: Backoff;
}

const retryMs = { initialMs: 50, maxMs: 2_000, factor: 2, jitter: 0.5 } as const;

export class ProduceDispatcher implements Component {
  readonly name = 'produce dispatcher';
  readonly counters: ProduceCounters = { ...noProduceCounters };
  readonly #options: ProduceDispatcherOptions;
  readonly #connection: KafkaConnection;
  readonly #random: Random;
  readonly #requestTimeoutMs: number;
  /** In the order in which they are served; one that was served goes to the end. */
  readonly #ready = new Set<ProduceSource>();
  readonly #lanes = new Map<number, Lane>();
  readonly #staleTopics = new Set<string>();
  /** Sources that wait before their next attempt, whatever else is sent meanwhile. */
  readonly #resting = new Map<ProduceSource, Timer>();
  readonly #limited = new RateLimited();
  readonly #refreshBackoff = new Backoff(retryMs);
  readonly #stopping = new AbortController();
  #refreshing: Promise<void> | undefined;
  #timer: { readonly timer: Timer; readonly atMonotonicMs: number } | undefined;
  #available = true;

  constructor(options: ProduceDispatcherOptions) {
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
    const limits = { name: 'produce', requestTimeoutMs: this.#requestTimeoutMs };
    this.#connection = new KafkaConnection(options.kafka, limits, this.#random);
  }

  /** Loads native codecs; a Kafka that is away is waited for by those who send. */
  async start(_signal: AbortSignal): Promise<void> {
    await Promise.all([loadCodecs(), loadNativeCrc32c()]);
  }

  /** Batches under way are reported lost; nothing is sent any more. Writers flush before. */
  stop(): Promise<void> {
    this.#stopping.abort(new Error('the produce dispatcher was stopped'));
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    for (const timer of this.#resting.values()) timer.cancel();
    this.#resting.clear();
    this.#ready.clear();
    this.#connection.destroy('the produce dispatcher was stopped');
    return Promise.resolve();
  }

  /** False from the first request that got no answer until one does. */
  get kafkaOk(): boolean {
    return this.#available;
  }

  /** Says that `take` has something to give, after `delayMs` (the linger time if not said; 0: at once). */
  ready(source: ProduceSource, delayMs?: number): void {
    if (this.#stopping.signal.aborted || this.#resting.has(source)) return;
    this.#ready.add(source);
    this.#pumpAfter(delayMs ?? this.#options.lingerMs ?? 5);
  }

  /** As `ready`, and not before `delayMs` have passed, even if `ready` is called. */
  rest(source: ProduceSource, delayMs: number): void {
    this.forget(source);
    if (this.#stopping.signal.aborted) return;
    const timer = this.#options.clock.after(delayMs, () => {
      this.#resting.delete(source);
      this.ready(source, 0);
    });
    this.#resting.set(source, timer);
  }

  /** A source that has ended is asked for nothing any more. */
  forget(source: ProduceSource): void {
    this.#ready.delete(source);
    this.#resting.get(source)?.cancel();
    this.#resting.delete(source);
  }

  #pumpAfter(delayMs: number): void {
    const { clock } = this.#options;
    const atMonotonicMs = clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined) {
      if (this.#timer.atMonotonicMs <= atMonotonicMs) return;
      this.#timer.timer.cancel();
    }
    const timer = clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#pump();
    });
    this.#timer = { timer, atMonotonicMs };
  }

  /** Sends what can be sent. A source that cannot be served now stays ready, and something pumps again later. */
  #pump(): void {
    if (this.#stopping.signal.aborted || this.#ready.size === 0) return;
    const nowMs = this.#options.clock.monotonicMs();
    const byNode = new Map<number, ProduceSource[]>();
    const homeless = new Set<string>();
    for (const source of this.#ready) {
      const node = this.#connection.leaderOf(source.topic, source.partition);
      if (node === undefined || this.#staleTopics.has(source.topic)) homeless.add(source.topic);
      else {
        const sources = byNode.get(node);
        if (sources === undefined) byNode.set(node, [source]);
        else sources.push(source);
      }
    }
    if (homeless.size > 0) this.#refresh(homeless);
    for (const [node, sources] of byNode) {
      const lane = this.#lane(node);
      if (lane.retryAtMonotonicMs > nowMs) {
        this.#pumpAfter(lane.retryAtMonotonicMs - nowMs);
        continue;
      }
      if (!this.#connection.broker(node).isOpen) void this.#open(node, lane, sources);
      else if (lane.inFlight < (this.#options.requestsInFlightMax ?? 5)) this.#sendFrom(node, lane, sources);
    }
  }

  /** Never rejects. Pumps when the connection stands (P1). */
  async #open(node: number, lane: Lane, sources: readonly ProduceSource[]): Promise<void> {
    if (lane.opening) return;
    lane.opening = true;
    try {
      await this.#connection.broker(node).open();
    } catch (thrown) {
      if (!this.#stopping.signal.aborted) this.#noteFailure(lane, kafkaError(thrown), sources);
    } finally {
      lane.opening = false;
      if (this.#ready.size > 0) this.#pumpAfter(0);
    }
  }

  #sendFrom(node: number, lane: Lane, sources: readonly ProduceSource[]): void {
    const parts = new Map<string, Part>();
    let size = 0;
    for (const source of sources) {
      if (size >= (this.#options.requestBytesMax ?? 4_194_304)) {
        this.#pumpAfter(0);
        break;
      }
      // Writers of several slots share `ownership`-0, and a request has room for one batch of a partition.
      if (parts.has(keyOf(source))) {
        this.#pumpAfter(0);
        continue;
      }
      this.#ready.delete(source);
      const batch = source.take(); // P1; a source with more says `ready` again from inside
      if (batch === null) continue;
      const { topic, partition } = source;
      parts.set(keyOf(source), { topic, partition, bytes: batch.bytes, batch });
      size += batch.bytes.length;
    }
    if (parts.size === 0) return;
    this.counters.requests += 1;
    this.counters.batches += parts.size;
    this.counters.bytes += size;
    lane.inFlight += 1;
    void this.#send(node, lane, encodeProduce([...parts.values()], this.#requestTimeoutMs), parts);
  }

  /** Never rejects: whatever happens, each batch is answered or lost (P2). */
  async #send(node: number, lane: Lane, body: Buffer, waiting: Map<string, Part>): Promise<void> {
    try {
      const response = await this.#connection.broker(node).send(produceApi.key, produceApi.version, body);
      const answers = decodeProduce(response);
      lane.backoff.reset();
      this.#setAvailable(true);
      for (const answer of answers) {
        const part = waiting.get(keyOf(answer));
        waiting.delete(keyOf(answer));
        if (factsOf(answer.code).staleMetadata) this.#staleTopics.add(answer.topic);
        if (part !== undefined) this.#deliver(part, answer);
      }
      if (waiting.size > 0) throw new Error('the broker left partitions unanswered');
    } catch (thrown) {
      const error = kafkaError(thrown);
      if (!this.#stopping.signal.aborted) this.#noteFailure(lane, error, [...waiting.values()]);
      for (const { batch } of waiting.values()) batch.lost(error);
    } finally {
      lane.inFlight -= 1;
      if (this.#ready.size > 0) this.#pumpAfter(0);
    }
  }

  /** What a listener throws is a bug of its own: the other batches of the request are still answered (P2). */
  #deliver({ batch, topic, partition }: Part, answer: ProduceAnswer): void {
    try {
      batch.answered(answer);
    } catch (thrown) {
      this.#options.logger.error({ topic, partition, cause: messageOf(thrown) }, 'ack listener failed');
    }
  }

  #noteFailure(lane: Lane, error: KafkaError, parts: readonly { readonly topic: string }[]): void {
    lane.retryAtMonotonicMs = this.#options.clock.monotonicMs() + lane.backoff.nextMs(this.#random);
    for (const { topic } of parts) this.#staleTopics.add(topic);
    this.#noteTrouble(error);
  }

  #noteTrouble(error: KafkaError): void {
    this.#setAvailable(false);
    const suppressed = this.#limited.pass('trouble', this.#options.clock.monotonicMs());
    if (suppressed === undefined) return;
    const line = { cause: error.message, suppressed };
    if (isDenied(error)) this.#options.logger.error(line, 'kafka refuses us, trying again');
    else
      this.#options.logger.warn(
        line,
        'kafka does not answer, trying again: look at the brokers, their disks and the way to them',
      );
  }

  /** One refresh at a time; pumps when it is done. With no answer it backs off and tries again (P3). */
  #refresh(topics: ReadonlySet<string>): void {
    if (this.#refreshing !== undefined) return;
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const work = async (): Promise<void> => {
      const names = [...topics];
      try {
        const found = await this.#connection.refreshMetadata(names);
        for (const name of names) this.#staleTopics.delete(name);
        const whole = found.every(
          ({ code, partitions }) => code === 0 && partitions.every(({ leader }) => leader >= 0),
        );
        if (whole) {
          this.#refreshBackoff.reset();
          return;
        }
        const missing = found
          .filter(({ code }) => code !== 0)
          .map(({ topic, code }) => `${topic} ${factsOf(code).name}`);
        const suppressed = this.#limited.pass('leader', clock.monotonicMs());
        if (suppressed !== undefined) this.#options.logger.warn({ missing, suppressed }, 'partitions without a leader');
      } catch (thrown) {
        if (signal.aborted) return;
        this.#noteTrouble(kafkaError(thrown));
      }
      await clock.sleep(this.#refreshBackoff.nextMs(this.#random), signal).catch(() => undefined);
    };
    this.#refreshing = work().finally(() => {
      this.#refreshing = undefined;
      if (this.#ready.size > 0 && !signal.aborted) this.#pumpAfter(0);
    });
  }

  #lane(node: number): Lane {
    let lane = this.#lanes.get(node);
    if (lane === undefined) {
      lane = { inFlight: 0, opening: false, retryAtMonotonicMs: 0, backoff: new Backoff(retryMs) };
      this.#lanes.set(node, lane);
    }
    return lane;
  }

  #setAvailable(available: boolean): void {
    if (this.#available === available) return;
    this.#available = available;
    if (available) this.#options.logger.info({}, 'kafka answers again');
    this.#options.onAvailability?.(available);
  }
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}\0${partition}`;
}
