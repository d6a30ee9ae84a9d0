import { eventually } from '../support/eventually.ts';
import { type ScriptedDevice, type ScriptedStream } from '../support/scripted-device.ts';
import { note, type Note } from './message.ts';
import { type ConformanceStage, type SeenRecord } from './stage.ts';

/** As `GET /api/v1/devices/{name}` answers. */
export interface DeviceStatus {
  readonly state: string;
  readonly code: string | null;
  readonly detail: string | null;
}

export interface AnsweredLeaf {
  readonly origin: string;
  readonly path: string;
  readonly value: unknown;
  readonly type: string;
  readonly timestamp: string;
}

const fencePath = '/fence';
/** Of a machine that does other things as well. */
export const withinMs = 40_000;

/** A scripted device and everything that can be asked about it. */
export class StagedDevice {
  readonly name: string;
  readonly scripted: ScriptedDevice;
  readonly #stage: ConformanceStage;
  #fences = 0;
  #session = 0;

  constructor(stage: ConformanceStage, name: string, scripted: ScriptedDevice) {
    this.#stage = stage;
    this.name = name;
    this.scripted = scripted;
  }

  /** Writes its record; answers the text where it was refused. */
  async put(record: object = {}): Promise<void> {
    const { status, text } = await this.offer(record);
    if (status >= 300) throw new Error(`the record of ${this.name} was refused: ${text}`);
  }

  offer(record: object): Promise<{ status: number; text: string }> {
    const subscriptions = [{ path: '/', mode: 'on-change' }];
    return this.#stage.put(`/api/v1/devices/${this.name}`, {
      addresses: [this.scripted.address],
      ...('tls' in record ? {} : { plaintext: true }),
      subscriptions,
      ...record,
    });
  }

  remove(): Promise<{ status: number; text: string }> {
    return this.#stage.ask(`/api/v1/devices/${this.name}`, { method: 'DELETE' });
  }

  /** Its n-th Subscribe stream, from 0, with the request read. The last one asked for is where `send` sends. */
  async stream(n = 0): Promise<ScriptedStream> {
    const stream = await this.scripted.stream(n, withinMs);
    await stream.requested();
    this.#session = n;
    return stream;
  }

  send(...notes: readonly (Note | Buffer)[]): void {
    const stream = this.scripted.streams[this.#session];
    for (const one of notes) stream?.send(Buffer.isBuffer(one) ? one : note(one));
  }

  /** Ends the session and has the next one, not synced yet. */
  async resubscribe(): Promise<ScriptedStream> {
    this.scripted.streams[this.#session]?.end();
    return this.stream(this.scripted.streams.length);
  }

  async status(): Promise<DeviceStatus> {
    const { text } = await this.#stage.ask(`/api/v1/devices/${this.name}`);
    return (JSON.parse(text) as { data: { status: DeviceStatus } }).data.status;
  }

  stateIs(state: string): Promise<DeviceStatus> {
    return this.#statusWhere(`state ${state}`, (status) => status.state === state);
  }

  /** Waits: what is wrong may first be told as a lost connection. */
  failsWith(code: string): Promise<DeviceStatus> {
    return this.#statusWhere(`code ${code}`, (status) => status.code === code);
  }

  #statusWhere(what: string, isSo: (status: DeviceStatus) => boolean): Promise<DeviceStatus> {
    return eventually(`${this.name}: ${what}`, withinMs, async () => {
      const status = await this.status();
      if (!isSo(status)) throw new Error(JSON.stringify(status));
      return status;
    });
  }

  /** Once everything sent has arrived: a last leaf is sent behind it, and waited for. */
  async settled(): Promise<void> {
    this.#fences += 1;
    const value = String(this.#fences);
    this.send({ t: BigInt(Date.now()) * 1_000_000n + BigInt(this.#fences), set: { [fencePath]: this.#fences } });
    await eventually(`${this.name}: what was sent is answered`, withinMs, async () =>
      (await this.leavesNow([fencePath])).some((leaf) => leaf.value === value),
    );
  }

  async leavesNow(paths: readonly string[]): Promise<readonly AnsweredLeaf[]> {
    const { data } = JSON.parse(await this.answer(paths)) as { data: { leaves: AnsweredLeaf[] } };
    return data.leaves;
  }

  /** The text of query-api's answer. */
  async answer(paths: readonly string[], query = ''): Promise<string> {
    const asked = paths.map((path) => `path=${encodeURIComponent(path)}`).join('&');
    const { status, text } = await this.#stage.ask(`/api/v1/devices/${this.name}/state?${asked}${query}`);
    if (status !== 200) throw new Error(text);
    return text;
  }

  /** Everything sent so far applied: its leaves, those of other origins where these are named. */
  async leaves(origins: readonly string[] = []): Promise<readonly AnsweredLeaf[]> {
    await this.settled();
    const leaves = await this.leavesNow(['/', ...origins.map((origin) => `${origin}:/`)]);
    return leaves.filter(({ path }) => path !== fencePath);
  }

  /** As `leaves`: values by path. 64-bit integers are texts. */
  async state(...origins: string[]): Promise<Record<string, unknown>> {
    const leaves = await this.leaves(origins);
    return Object.fromEntries(
      leaves.map(({ origin, path, value }) => [origin === 'openconfig' ? path : `${origin}:${path}`, value]),
    );
  }

  records(): Promise<readonly SeenRecord[]> {
    return this.#stage.records(this.name);
  }

  /** The device's messages as they stand in `telemetry`. */
  async published(): Promise<readonly Buffer[]> {
    return (await this.records()).filter(({ header }) => header.kind === 'data').map(({ message }) => message);
  }

  /** Waits until as many messages of the device are in `telemetry`. */
  publishes(count: number): Promise<readonly Buffer[]> {
    return eventually(`${this.name}: ${count} messages in telemetry`, withinMs, async () => {
      const messages = await this.published();
      return messages.length >= count && messages;
    });
  }

  /** Kinds of its records, in order. */
  async kinds(): Promise<readonly string[]> {
    return (await this.records()).map(({ header }) => header.kind);
  }
}
