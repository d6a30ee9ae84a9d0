import { type Clock } from '../clock.ts';
import { type Component, startAll } from '../lifecycle.ts';
import { type Logger } from '../logger.ts';
import { type CommonSettings } from '../settings.ts';
import { type KafkaOptions } from './connection.ts';
import { type Producer } from './producer.ts';
import { openRegistry, type SchemaIds } from './registry.ts';
import { prepareTopics } from './topic-plan.ts';

/**
 * The part of a process that needs Kafka to be there: topics and schema ids first, then the components that are made of them,
 * in order. One component, so that a Kafka that is away at start is waited for in one place.
 *
 * G1. `stop` during `start` ends it and leaves nothing running, whoever was being started at that moment.
 */
export interface KafkaStageOptions {
  readonly name: string;
  readonly settings: CommonSettings;
  readonly kafka: KafkaOptions;
  /** Started before and stopped after this component. */
  readonly producer: Producer;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once; what it returns is started in order and stopped in reverse. */
  readonly components: (schemas: SchemaIds) => readonly Component[];
}

export class KafkaStage implements Component {
  readonly name: string;
  readonly #options: KafkaStageOptions;
  readonly #stopping = new AbortController();
  #starting: Promise<void> | null = null;
  #stopAll: (() => Promise<void>) | null = null;

  constructor(options: KafkaStageOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Everything was started, and nobody has asked to stop it. */
  get isRunning(): boolean {
    return this.#stopAll !== null && !this.isStopping;
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  start(signal: AbortSignal): Promise<void> {
    return (this.#starting ??= this.#start(AbortSignal.any([signal, this.#stopping.signal])));
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`${this.name} was stopped`));
    await this.#starting?.catch(() => undefined); // G1: a failed start stops what it started
    await this.#stopAll?.();
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { settings, kafka, clock, logger, components } = this.#options;
    await prepareTopics({ kafka, settings, clock, logger }, signal);
    const schemas = await openRegistry(this.#options, signal);
    signal.throwIfAborted();
    this.#stopAll = await startAll(components(schemas), logger, signal);
  }
}
