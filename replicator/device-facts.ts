import { type Device, deviceCodec } from '../schemas/device.ts';
import { type Profile, profileCodec } from '../schemas/profile.ts';
import { topicOf } from '../schemas/topics.ts';
import { type Clock } from '../core/clock.ts';
import { type HoldfastError } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { recordMessage } from '../core/kafka/log-reader.ts';
import { Table } from '../core/kafka/table.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type DeviceFacts, plainFacts } from './explode.ts';

/** What the configuration says of a device and the rules need to know, from `devices` and `profiles`. */
export interface DeviceFactsOptions {
  readonly kafka: KafkaOptions;
  readonly topicPrefix: string;
  readonly slots: number;
  readonly onFatal: (error: HoldfastError) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class DeviceFactsTable implements Component {
  readonly name = 'device facts';
  readonly #devices: Table<Device>;
  readonly #profiles: Table<Profile>;

  constructor(options: DeviceFactsOptions) {
    const { topicPrefix, slots, kafka, onFatal, clock, logger } = options;
    const common = { kafka, onFatal, clock, logger };
    const partitions = Array.from({ length: slots }, (_, slot) => slot);
    this.#devices = new Table({
      ...common,
      topic: topicOf(topicPrefix, 'devices'),
      partitions,
      decode: (_key, record) => deviceCodec.decode(recordMessage(record)),
    });
    this.#profiles = new Table({
      ...common,
      topic: topicOf(topicPrefix, 'profiles'),
      partitions: [0],
      decode: (_key, record) => profileCodec.decode(recordMessage(record)),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#devices.start(signal), this.#profiles.start(signal)]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#devices.stop(), this.#profiles.stop()]);
  }

  /** An unknown device has the facts of a plain one: its configuration may follow its data, or be gone before it. */
  of(name: string): DeviceFacts {
    const device = this.#devices.get(name);
    if (device === undefined) return plainFacts;
    const { honourRootDelete, orderByReceiveTime } = device;
    const explodeJson =
      device.explodeJson || device.profiles.some((profile) => this.#profiles.get(profile)?.explodeJson === true);
    return { honourRootDelete, orderByReceiveTime, explodeJson };
  }
}
