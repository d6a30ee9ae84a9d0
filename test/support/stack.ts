import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { ApiClient } from '../../cli/api-client.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { HoldfastProcess } from './holdfast-process.ts';
import { type TestKafka } from './kafka.ts';

/** The whole product as real processes over a given Kafka: what `holdfast dev` runs, with a test's own sizes. */
export interface StackOptions {
  readonly kafka: TestKafka;
  readonly devices: number;
  readonly rate: number;
  readonly updates: number;
  readonly ingest: number;
  readonly replicator?: number;
  readonly queryApi?: number;
  readonly slots?: number;
  /** More settings for every part, by setting name. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly simulator?: Readonly<Record<string, string>>;
  /** Environment of every part: settings that not all of them know as a flag. */
  readonly env?: Readonly<Record<string, string>>;
  /** The same of one kind of part. */
  readonly envOf?: Partial<Record<Part, Readonly<Record<string, string>>>>;
}

export type Part = 'ingest' | 'replicator' | 'query-api';

export interface OwnedSlot {
  readonly slot: number;
  readonly owner: string | null;
  readonly state: string;
  readonly standby: string | null;
}

/** What `GET /api/v1/ownership` answers. */
export interface OwnershipMap {
  readonly plan: { readonly version: string } | null;
  readonly slots: readonly OwnedSlot[];
}

export class Stack {
  readonly options: StackOptions;
  readonly processes = new Map<string, HoldfastProcess>();
  readonly #http = new Map<string, string>();
  readonly #gnmi = new Map<string, string>();
  #dir = '';
  simulatorControl = '';

  constructor(options: StackOptions) {
    this.options = options;
  }

  get dir(): string {
    return this.#dir;
  }

  /** A place for what the parts write: for who starts each of them himself. */
  async open(): Promise<void> {
    this.#dir = await mkdtemp(join(tmpdir(), 'holdfast-stack-'));
  }

  /** Starts every part; resolves when all devices are synced and every query-api answers for them. */
  async start(): Promise<void> {
    const { devices, ingest, replicator = 1, queryApi = 1 } = this.options;
    await this.open();
    if (devices > 0) await this.startSimulator();
    for (let n = 1; n <= queryApi; n += 1) await this.startPart('query-api', `query-api-${n}`);
    for (let n = 1; n <= ingest; n += 1) await this.startPart('ingest', `ingest-${n}`);
    for (let n = 1; n <= replicator; n += 1) await this.startPart('replicator', `replicator-${n}`);
    await eventually('query-api ready', 40_000, async () => (await fetch(`${this.api().base}/readyz`)).ok);
    if (devices > 0) {
      await this.importDevices();
      await this.synced(devices);
      for (let n = 1; n <= queryApi; n += 1) await this.#answers(`query-api-${n}`, devices);
    }
  }

  /** `state` trails the sessions: synced devices may have no leaves yet. */
  async #answers(instanceId: string, devices: number): Promise<void> {
    await eventually(`${instanceId} answers for ${devices} devices`, 20_000, async () => {
      const path = '/api/v1/state?path=/simulator/state/sequence&limit=1';
      return ((await this.api(instanceId).call('GET', path)) as { total: number }).total >= devices;
    });
  }

  async startPart(
    part: Part,
    instanceId: string,
    more: Readonly<Record<string, string>> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<HoldfastProcess> {
    const { kafka, slots = 8, settings = {}, env: envOfAll = {}, envOf = {} } = this.options;
    const http = this.#http.get(instanceId) ?? `127.0.0.1:${await freePort()}`;
    this.#http.set(instanceId, http);
    const gnmi = this.#gnmi.get(instanceId) ?? `127.0.0.1:${await freePort()}`;
    if (part === 'query-api') this.#gnmi.set(instanceId, gnmi);
    const args = [
      part,
      ...flags({
        kafkaBrokers: kafka.brokers.join(','),
        topicPrefix: kafka.prefix,
        slots: String(slots),
        replicationFactor: '1',
        instanceId,
        advertisedHost: '127.0.0.1',
        httpListen: http,
        peerListen: '127.0.0.1:0',
        dataDir: join(this.#dir, instanceId),
        // Short enough for a test to wait for a failover; the proportions are those of the profile `fast`.
        sessionTimeoutMs: '3000',
        heartbeatMs: '250',
        leaseGuardMs: '300',
        rebalanceTimeoutMs: '15000',
        logFormat: 'json',
        ...(part === 'query-api' ? { gnmiListen: gnmi } : {}),
        ...settings,
        ...more,
      }),
    ];
    const process_ = new HoldfastProcess(instanceId, args, { ...envOfAll, ...envOf[part], ...env });
    this.processes.set(instanceId, process_);
    return process_;
  }

  async startSimulator(): Promise<void> {
    const { devices, rate, updates, simulator = {} } = this.options;
    this.simulatorControl = `http://127.0.0.1:${await freePort()}`;
    const started = new HoldfastProcess('simulator', [
      'simulate',
      ...flags({
        devices: String(devices),
        rate: String(rate),
        updates: String(updates),
        deviceHost: '127.0.0.1',
        controlListen: this.simulatorControl.replace('http://', ''),
        writeDevicesFile: join(this.#dir, 'devices.yaml'),
        logFormat: 'json',
        ...simulator,
      }),
    ]);
    this.processes.set('simulator', started);
    await eventually('simulator', 20_000, async () => (await fetch(`${this.simulatorControl}/devices`)).ok);
  }

  async importDevices(): Promise<void> {
    const document: unknown = parseYaml(await readFile(join(this.#dir, 'devices.yaml'), 'utf8'));
    await this.api().call('POST', '/api/v1/devices:import', document);
  }

  async synced(devices: number, withinMs = 40_000): Promise<void> {
    await eventually(`${devices} devices synced`, withinMs, async () => {
      const cluster = (await this.api().call('GET', '/api/v1/cluster')) as { devices: { synced: number } };
      return cluster.devices.synced === devices;
    });
  }

  async ownership(): Promise<OwnershipMap> {
    return (await this.api().call('GET', '/api/v1/ownership')) as OwnershipMap;
  }

  /** No plan was made for `quietMs`, and slots are as they should be: held by somebody, where nothing else is said. */
  async planRests(
    quietMs: number,
    asWanted = (slots: readonly OwnedSlot[]): boolean => slots.every(({ state }) => state === 'held'),
  ): Promise<void> {
    let planned = { version: '', sinceMs: 0 };
    await eventually(`no new plan for ${quietMs} ms`, 90_000, async () => {
      const { plan, slots } = await this.ownership();
      const nowMs = performance.now();
      if (plan?.version !== planned.version) planned = { version: plan?.version ?? '', sinceMs: nowMs };
      return asWanted(slots) && nowMs - planned.sinceMs > quietMs;
    });
  }

  api(instanceId = 'query-api-1'): ApiClient {
    return new ApiClient(`http://${this.#http.get(instanceId) ?? ''}`);
  }

  http(instanceId: string): string {
    return `http://${this.#http.get(instanceId) ?? ''}`;
  }

  /** Address of a query-api's gNMI server. */
  gnmi(instanceId = 'query-api-1'): string {
    return this.#gnmi.get(instanceId) ?? '';
  }

  process(instanceId: string): HoldfastProcess {
    const found = this.processes.get(instanceId);
    if (found === undefined) throw new Error(`${instanceId} was not started`);
    return found;
  }

  async simulatorCall(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.simulatorControl}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.processes.values()].map((one) => one.stop()));
    await rm(this.#dir, { recursive: true, force: true });
  }
}

export function flags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value,
  ]);
}
