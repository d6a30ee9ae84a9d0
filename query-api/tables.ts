/**
 * The compacted topics that a query-api holds whole, beside `state`: what is wanted (devices, profiles), how the devices
 * are (status), who owns what (ownership), who is there (instances), and the schemas of all of them.
 */
import { type Clock } from '../core/clock.ts';
import { type HoldfastError } from '../core/errors.ts';
import { type KafkaOptions } from '../core/kafka/connection.ts';
import { recordMessage } from '../core/kafka/log-reader.ts';
import { decodeSchemaRecord, type SchemaRecord } from '../core/kafka/schema-record.ts';
import { Table } from '../core/kafka/table.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { type Device, deviceCodec } from '../schemas/device.ts';
import { type Instance, instanceCodec } from '../schemas/instance.ts';
import { type Profile, profileCodec } from '../schemas/profile.ts';
import { topicOf, type TopicName } from '../schemas/topics.ts';
import { DeletedNames } from './deleted-names.ts';
import { DeviceChanges } from './device-changes.ts';
import { decodeOwnershipRow, newerOwnershipRow, type OwnershipRow } from './ownership-row.ts';
import { Sightings } from './sightings.ts';
import { decodeStatusRow, newerStatusRow, type StatusRow } from './status-row.ts';

/** What routes read of a table: a map that follows its topic. */
export interface Rows<V> {
  readonly size: number;
  /** Grows with every change, so that nobody looks through all of them in vain; undefined: not counted. */
  readonly version?: number;
  get(key: string): V | undefined;
  entries(): Iterable<readonly [string, V]>;
}

export interface TablesOptions {
  readonly kafka: KafkaOptions;
  readonly topicPrefix: string;
  readonly slots: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reading has ended for good; the process should. */
  readonly onFatal: (error: HoldfastError) => void;
}

export class Tables implements Component {
  readonly name = 'tables';
  readonly devices: Table<Device>;
  readonly profiles: Table<Profile>;
  readonly status: Table<StatusRow>;
  readonly ownership: Table<OwnershipRow>;
  readonly instances: Table<Instance>;
  readonly schemas: Table<SchemaRecord>;
  readonly deletedDevices = new DeletedNames();
  readonly deviceChanges = new DeviceChanges();
  readonly sightings: Sightings;
  #loaded = false;

  constructor(options: TablesOptions) {
    this.sightings = new Sightings(options.clock);
    const { kafka, logger, clock, onFatal } = options;
    const common = { kafka, logger, clock, onFatal };
    const slots = Array.from({ length: options.slots }, (_, slot) => slot);
    const topic = (name: TopicName): string => topicOf(options.topicPrefix, name);
    this.devices = new Table<Device>({
      ...common,
      topic: topic('devices'),
      partitions: slots,
      decode: (_key, record) => deviceCodec.decode(recordMessage(record)),
      onChange: (key, device) => {
        this.deletedDevices.changed(key, device !== undefined);
        this.deviceChanges.changed(key, device !== undefined);
      },
    });
    this.profiles = new Table<Profile>({
      ...common,
      topic: topic('profiles'),
      partitions: [0],
      decode: (_key, record) => profileCodec.decode(recordMessage(record)),
    });
    this.status = new Table<StatusRow>({
      ...common,
      topic: topic('status'),
      partitions: slots,
      decode: (_key, record) => decodeStatusRow(record),
      newer: newerStatusRow,
    });
    this.ownership = new Table<OwnershipRow>({
      ...common,
      topic: topic('ownership'),
      partitions: [0],
      decode: (key, record) => decodeOwnershipRow(key, recordMessage(record)),
      newer: newerOwnershipRow,
    });
    this.instances = new Table<Instance>({
      ...common,
      topic: topic('instances'),
      partitions: [0],
      decode: (_key, record) => instanceCodec.decode(recordMessage(record)),
      onChange: (key, instance) => this.sightings.changed(key, instance !== undefined),
    });
    this.schemas = new Table<SchemaRecord>({
      ...common,
      topic: topic('schemas'),
      partitions: [0],
      decode: (_key, record) => decodeSchemaRecord(record.value ?? Buffer.alloc(0)),
    });
  }

  get all(): readonly Component[] {
    return [this.devices, this.profiles, this.status, this.ownership, this.instances, this.schemas];
  }

  /** Every table was read to its end once. */
  get loaded(): boolean {
    return this.#loaded;
  }

  async start(signal: AbortSignal): Promise<void> {
    await Promise.all(this.all.map((table) => table.start(signal)));
    this.sightings.loaded();
    this.#loaded = true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((table) => table.stop()));
  }
}
