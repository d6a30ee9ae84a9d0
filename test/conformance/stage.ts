/**
 * Where scenarios are played: ingest, replicator and query-api as real processes over the Kafka of the test run, a device of
 * its own for each scenario, and a reader of `telemetry`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogBatch } from '../../core/kafka/log-reader.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { type Marker, markerCodec } from '../../schemas/marker.ts';
import { decodeHeader, type RecordHeader } from '../../schemas/position.ts';
import { createFleetCertificates, type FleetCertificates } from '../../simulator/certificates.ts';
import { GnmiClient } from '../simulator/subscriber.ts';
import { eventually } from '../support/eventually.ts';
import { type TestKafka } from '../support/kafka.ts';
import { ScriptedDevice, type ScriptedDeviceOptions } from '../support/scripted-device.ts';
import { Stack } from '../support/stack.ts';
import { TelemetryFollower } from '../support/telemetry-follower.ts';
import { StagedDevice, withinMs } from './staged-device.ts';

const slots = 4;
export const secureInstance = 'query-api-tls';

/** Short, so that a scenario can wait for what they bound; the sync’s is what a slow machine may take from one step to the next. */
export const timers = {
  redialMs: 50,
  redialMsMax: 400,
  refusedRedialMs: 300,
  dialTimeoutMs: 1_000,
  syncTimeoutMs: 10_000,
  futureLimitMs: 3_600_000,
} as const;
/** So that an answer beyond it need not be large. */
const gnmiMaxGetBytes = 500_000;

export interface SeenRecord {
  readonly header: RecordHeader;
  /** The frame taken off. */
  readonly message: Buffer;
}

/** Everything in `telemetry`, by device. */
class TelemetryLog extends TelemetryFollower {
  readonly byDevice = new Map<string, SeenRecord[]>();

  protected override apply({ records, partition }: LogBatch): void {
    for (const { header: bytes, key, value } of records) {
      if (bytes === null || key === null || value === null) throw new Error('a record lacks its header, key or value');
      const header = decodeHeader(bytes);
      this.notePosition(partition, header);
      const device = key.toString();
      const seen = this.byDevice.get(device) ?? [];
      this.byDevice.set(device, seen);
      seen.push({ header, message: decodeFrame(value).message });
    }
  }
}

export class ConformanceStage {
  readonly stack: Stack;
  readonly #log: TelemetryLog;
  readonly #devices: StagedDevice[] = [];
  readonly #closing: (() => unknown)[] = [];
  #certificates: Promise<FleetCertificates> | null = null;

  constructor(kafka: TestKafka) {
    const env = Object.fromEntries(
      Object.entries({ ...timers, gnmiMaxGetBytes }).map(([name, value]) => [
        `HOLDFAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
        String(value),
      ]),
    );
    this.stack = new Stack({ kafka, devices: 0, rate: 1, updates: 1, ingest: 1, slots, env });
    this.#log = new TelemetryLog(kafka, slots, 'conformance', { maxWaitMs: 50 });
  }

  async start(): Promise<void> {
    await this.stack.start();
    await this.#log.start();
    await this.#startSecureInstance();
  }

  /** A second query-api whose gNMI server has TLS and wants certificates of its clients. */
  async #startSecureInstance(): Promise<void> {
    const { authority, server } = await this.certificates();
    const instance = await this.stack.startPart('query-api', secureInstance, {
      gnmiTlsCert: await this.secret('gnmi-cert.pem', server.cert),
      gnmiTlsKey: await this.secret('gnmi-key.pem', server.key),
      gnmiTlsClientCa: await this.secret('gnmi-client-ca.pem', authority.cert),
    });
    await eventually(`${secureInstance} ready`, 40_000, async () => {
      if (/"level":"(fatal|error)"/.test(instance.output)) throw new Error(instance.output);
      return (await fetch(`${this.stack.http(secureInstance)}/readyz`)).ok;
    });
  }

  /** A gNMI client with a connection of its own, plaintext if not said otherwise. */
  reader(options: ConstructorParameters<typeof GnmiClient>[1] = {}, instanceId?: string): GnmiClient {
    const client = new GnmiClient(this.stack.gnmi(instanceId), { withinMs, ...options });
    this.onStop(() => client.close());
    return client;
  }

  async stop(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
    for (const { scripted } of this.#devices) scripted.stop();
    await this.#log.stop();
    await this.stack.stop();
  }

  /** Called at the end, in reverse order. */
  onStop(close: () => unknown): void {
    this.#closing.push(close);
  }

  /** A device that was put into the configuration, and nothing more. `record`: of its document. */
  async device(record: object = {}, options: ScriptedDeviceOptions = {}): Promise<StagedDevice> {
    const device = await this.prepared(options);
    await device.put(record);
    return device;
  }

  /** A device that listens, and that nobody knows of yet. */
  async prepared(options: ScriptedDeviceOptions = {}): Promise<StagedDevice> {
    const device = new StagedDevice(this, `device-${this.#devices.length + 1}`, new ScriptedDevice(options));
    this.#devices.push(device);
    await device.scripted.start();
    return device;
  }

  /** A device whose session has synced, with nothing said yet. */
  async synced(record: object = {}): Promise<StagedDevice> {
    const device = await this.device(record);
    (await device.stream()).sync();
    await device.stateIs('synced');
    return device;
  }

  /** What ingest wrote for a device up to now. */
  async records(device: string): Promise<readonly SeenRecord[]> {
    await this.#log.readToEnd();
    return this.#log.byDevice.get(device) ?? [];
  }

  async markers(device: string): Promise<readonly Marker[]> {
    const records = await this.records(device);
    return records.filter(({ header }) => header.kind !== 'data').map(({ message }) => markerCodec.decode(message));
  }

  /** `path` of query-api's HTTP interface. */
  async ask(path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.stack.api().base}${path}`, init);
    return { status: response.status, text: await response.text() };
  }

  put(path: string, document: object): Promise<{ status: number; text: string }> {
    const headers = { 'content-type': 'application/json' };
    return this.ask(path, { method: 'PUT', headers, body: JSON.stringify(document) });
  }

  /** A counter of a part; 0 if it has none under these labels. */
  async counter(part: string, name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${this.stack.http(part)}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(`${name}${labels === '' ? ' ' : `{${labels}}`}`));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  /** One authority for all scenarios, with what it signed, as texts. */
  certificates(): Promise<FleetCertificates> {
    this.#certificates ??= createFleetCertificates(Date.now());
    return this.#certificates;
  }

  /** Writes a file where ingest can read it; answers the reference to it. */
  async secret(name: string, content: string): Promise<string> {
    const file = join(this.stack.dir, name);
    await writeFile(file, content);
    return `file:${file}`;
  }
}
