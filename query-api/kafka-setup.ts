/**
 * What must be there before a record can be read or written: the topics, and the schema ids. One component, so that a
 * Kafka that is away at start is waited for in one place.
 */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { type Producer } from '../core/kafka/producer.ts';
import { openRegistry, type SchemaIds } from '../core/kafka/registry.ts';
import { prepareTopics } from '../core/kafka/topic-plan.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type QueryApiSettings } from './config.ts';

export interface KafkaSetupOptions {
  readonly settings: QueryApiSettings;
  readonly kafka: KafkaOptions;
  readonly producer: Producer;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class KafkaSetup implements Component {
  readonly name = 'Kafka set-up';
  readonly #options: KafkaSetupOptions;
  readonly #stopping = new AbortController();
  #schemas: SchemaIds | undefined;

  constructor(options: KafkaSetupOptions) {
    this.#options = options;
  }

  /** Throws `KAFKA_UNAVAILABLE` before `start` has resolved. */
  get schemas(): SchemaIds {
    if (this.#schemas !== undefined) return this.#schemas;
    throw new HoldfastError('KAFKA_UNAVAILABLE', 'the schema ids are not known yet; try again in a second');
  }

  async start(signal: AbortSignal): Promise<void> {
    const { settings, kafka, clock, logger } = this.#options;
    const either = AbortSignal.any([signal, this.#stopping.signal]);
    await prepareTopics({ kafka, settings, clock, logger }, either);
    this.#schemas = await openRegistry(this.#options, either);
  }

  stop(): Promise<void> {
    this.#stopping.abort(new Error('Kafka set-up stopped'));
    return Promise.resolve();
  }
}
