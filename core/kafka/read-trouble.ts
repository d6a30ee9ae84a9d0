import { type Clock } from '../clock.ts';
import { type Logger, RateLimited } from '../logger.ts';
import { type KafkaError } from './errors.ts';

/**
 * What a reader says about reads that fail: one line for all its partitions, however many there are.
 *
 * RT1. A partition that is looking for its leader (a topic just made, an election) is worth a line only when that lasts;
 *      until then it is a debug line.
 * RT2. A broker that does not answer is said at once.
 * RT3. Whatever repeats is one line a period, with the number of places that fail and one of them as an example.
 */
export interface ReadTroubleOptions {
  /** What is read. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Leaders that are not there yet, or have moved: UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER,
 * REPLICA_NOT_AVAILABLE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE, UNKNOWN_TOPIC_ID.
 */
const movingCodes: readonly number[] = [3, 5, 6, 9, 74, 75, 78, 100];
/** Elections take up to about this long, so do brokers to hear of a topic just made. */
export const settlingMs = 5_000;

export class ReadTrouble {
  readonly #options: ReadTroubleOptions;
  readonly #limited = new RateLimited();
  /** Since when each place fails: a partition, a broker, the metadata. */
  readonly #failing = new Map<string, number>();

  constructor(options: ReadTroubleOptions) {
    this.#options = options;
  }

  /** `place`: a partition, a broker or `metadata`. */
  failed(place: string, error: KafkaError): void {
    const { name, clock, logger } = this.#options;
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#failing.get(place) ?? nowMs;
    this.#failing.set(place, sinceMs);
    if (movingCodes.includes(error.code) && nowMs - sinceMs < settlingMs) {
      logger.debug({ reader: name, place, cause: error.message }, 'log read waits for a leader'); // RT1
      return;
    }
    const suppressed = this.#limited.pass('failed', nowMs); // RT3
    if (suppressed === undefined) return;
    const fields = { reader: name, failing: this.#failing.size, place, cause: error.message, suppressed };
    logger.warn(fields, 'log read failed, trying again');
  }

  /** The place was read, or is not read any more. */
  over(place: string): void {
    if (this.#failing.size > 0) this.#failing.delete(place);
  }

  /** Bytes that are no records: they may be whole the next time, if not the partition stands still. */
  damaged(place: string, cause: string): void {
    const { name, clock, logger } = this.#options;
    const suppressed = this.#limited.pass(`damaged ${place}`, clock.monotonicMs());
    if (suppressed !== undefined) logger.error({ reader: name, place, cause, suppressed }, 'log records damaged');
  }
}
