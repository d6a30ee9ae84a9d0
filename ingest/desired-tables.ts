import { type Clock } from '../core/clock.ts';
import { type HoldfastError } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { recordMessage } from '../core/kafka/log-reader.ts';
import { Table } from '../core/kafka/table.ts';
import { type Component, startAll } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type Device, deviceCodec } from '../schemas/device.ts';
import { decodeHeader, mayReplace, type Position } from '../schemas/position.ts';
import { type Profile, profileCodec } from '../schemas/profile.ts';
import { deviceStatusCodec } from '../schemas/status.ts';
import { topicOf } from '../schemas/topics.ts';
import { DeviceCatalogue } from './device-catalogue.ts';
import { type KnownStatus, type StatusSource } from './slot-sessions.ts';

/**
 * What ingest reads of Kafka: devices and profiles, which say what to collect, and the status records, which say what owners
 * before us left behind. All slots are read: a device whose slot comes to us is known already.
 */
export interface DesiredTablesOptions {
  readonly kafka: KafkaOptions;
  readonly topicPrefix: string;
  readonly slots: number;
  readonly onDevice: (name: string) => void;
  readonly onStatus: (name: string) => void;
  readonly onFatal: (error: HoldfastError) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface StatusEntry extends KnownStatus {
  readonly position: Position | null;
}

export class DesiredTables implements Component, StatusSource {
  readonly name = 'desired tables';
  readonly catalogue: DeviceCatalogue;
  readonly #devices: Table<Device>;
  readonly #profiles: Table<Profile>;
  readonly #statuses: Table<StatusEntry>;
  readonly #logger: Logger;
  #stopAll: () => Promise<void> = () => Promise.resolve();
  #loaded = false;
  readonly #stopping = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  /** Begins when the present reading ends; shared by all who ask until then. */
  #nextReading: Promise<void> | null = null;

  constructor(options: DesiredTablesOptions) {
    const { topicPrefix, slots, onDevice, onStatus, kafka, clock, logger, onFatal } = options;
    this.#logger = logger;
    this.catalogue = new DeviceCatalogue({ slots, onChange: onDevice });
    const common = { kafka, clock, logger, onFatal };
    const bySlot = Array.from({ length: slots }, (_, slot) => slot);
    this.#profiles = new Table<Profile>({
      ...common,
      topic: topicOf(topicPrefix, 'profiles'),
      partitions: [0],
      decode: (_name, record) => profileCodec.decode(recordMessage(record)),
      onChange: (name, profile) => this.catalogue.setProfile(name, profile),
    });
    this.#devices = new Table<Device>({
      ...common,
      topic: topicOf(topicPrefix, 'devices'),
      partitions: bySlot,
      decode: (name, record) => ({ ...deviceCodec.decode(recordMessage(record)), name }), // the key is the name
      onChange: (name, device) => this.catalogue.setDevice(name, device),
    });
    this.#statuses = new Table<StatusEntry>({
      ...common,
      topic: topicOf(topicPrefix, 'status'),
      partitions: bySlot,
      decode: (_name, record) => ({
        gaps: deviceStatusCodec.decode(recordMessage(record)).gaps,
        position: record.header === null ? null : decodeHeader(record.header),
      }),
      newer: (candidate, present) => mayReplace(candidate.position, present.position),
      onChange: (name, status) => {
        if (status !== undefined) onStatus(name);
      },
    });
  }

  get caughtUp(): boolean {
    return this.#loaded;
  }

  get kafkaOk(): boolean {
    return this.#devices.kafkaOk && this.#profiles.kafkaOk;
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#stopAll = await startAll([this.#profiles, this.#devices, this.#statuses], this.#logger, signal);
    this.#loaded = true;
  }

  stop(): Promise<void> {
    this.#stopping.abort(new Error('the tables were stopped'));
    return this.#stopAll();
  }

  /** Records of a table that were not read yet, by its topic; a table whose end is unknown is left out. */
  lagRecords(): Map<string, number> {
    const tables = { devices: this.#devices, profiles: this.#profiles, status: this.#statuses };
    return new Map(
      Object.entries(tables).flatMap(([topic, { lag }]) => (lag === null ? [] : [[topic, Number(lag)] as const])),
    );
  }

  devicesRead(): Promise<void> {
    this.#nextReading ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#nextReading = null;
        this.#reading = this.#devices.readToEnd(this.#stopping.signal);
        return this.#reading;
      });
    return this.#nextReading;
  }

  get(device: string): KnownStatus | undefined {
    return this.#statuses.get(device);
  }

  *devices(): IterableIterator<string> {
    for (const [name] of this.#statuses.entries()) yield name;
  }
}
