/** Our record in the topic `instances`. Its schema id is known only after the set-up, so the reporter is made at start. */
import { type Clock } from '../core/clock.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { InstanceReporter } from '../core/kafka/instance-reporter.ts';
import { type Producer } from '../core/kafka/producer.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type Random } from '../core/random.ts';
import { type InstanceSlot } from '../schemas/instance.ts';
import { type KafkaSetup } from './kafka-setup.ts';

export interface InstanceRecordOptions {
  readonly kafka: KafkaOptions;
  readonly producer: Producer;
  readonly setup: KafkaSetup;
  readonly topicPrefix: string;
  readonly instanceId: string;
  readonly zone: string | undefined;
  readonly version: string;
  /** `host:port` of the HTTP server. */
  readonly http: () => string;
  /** `host:port` of the gNMI server. */
  readonly gnmi: () => string;
  /** What this instance can answer from, by now. */
  readonly slots: () => readonly InstanceSlot[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

export class InstanceRecord implements Component {
  readonly name = 'instance record';
  readonly #options: InstanceRecordOptions;
  #reporter: InstanceReporter | undefined;

  constructor(options: InstanceRecordOptions) {
    this.#options = options;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { setup, http, gnmi, slots, random, ...options } = this.#options;
    const half = (): string =>
      Math.floor(random.next() * 2 ** 32)
        .toString(16)
        .padStart(8, '0');
    this.#reporter = new InstanceReporter({
      ...options,
      schemas: setup.schemas,
      incarnation: half() + half(),
      role: 'query-api',
      now: () => ({ http: http(), gnmi: gnmi(), draining: false, slots: slots() }),
    });
    await this.#reporter.start(signal);
  }

  async stop(): Promise<void> {
    await this.#reporter?.stop();
  }
}
