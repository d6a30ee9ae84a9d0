import { type ApiClient } from '../../cli/api-client.ts';
import { systemClock } from '../../core/clock.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { type HoldfastProcess } from './holdfast-process.ts';
import { type TestKafka } from './kafka.ts';
import { type StateSource, sourceDevice } from './state-source.ts';
import { Stack } from './stack.ts';

/** Query-api processes over a `state` that a `StateSource` writes: nothing between the log and the readers but them. */
export class StreamStage {
  readonly stack: Stack;
  readonly #gnmi = new Map<string, string>();
  readonly #more: Readonly<Record<string, string>>;
  readonly #env: Readonly<Record<string, string>>;

  constructor(
    kafka: TestKafka,
    slots: number,
    more: Readonly<Record<string, string>> = {},
    env: Readonly<Record<string, string>> = {},
  ) {
    this.stack = new Stack({ kafka, devices: 0, rate: 0, updates: 0, ingest: 0, replicator: 0, queryApi: 0, slots });
    this.#more = more;
    this.#env = env;
  }

  /** The source's devices are known, its first leaves are written, and every instance answers for them. */
  async start(instances: number, source: StateSource): Promise<void> {
    await this.stack.open();
    for (let n = 1; n <= instances; n += 1) await this.startInstance(`query-api-${n}`);
    await source.start();
    await eventually('the tables are read', 40_000, async () => {
      await this.stack.api().call('GET', '/api/v1/devices');
      return true;
    });
    await this.#import(source.leaves.length);
    await source.fill();
    for (const instance of this.instances) await this.ready(instance);
  }

  get instances(): string[] {
    return [...this.#gnmi.keys()];
  }

  async startInstance(instance: string): Promise<HoldfastProcess> {
    const gnmiListen = this.#gnmi.get(instance) ?? `127.0.0.1:${await freePort()}`;
    this.#gnmi.set(instance, gnmiListen);
    return this.stack.startPart('query-api', instance, { gnmiListen, ...this.#more }, this.#env);
  }

  ready(instance: string): Promise<unknown> {
    return eventually(
      `${instance} is ready`,
      60_000,
      async () => (await fetch(`${this.stack.http(instance)}/readyz`)).ok,
    );
  }

  port(instance: string): number {
    return Number(new URL(this.stack.http(instance)).port);
  }

  gnmi(instance: string): string {
    return this.#gnmi.get(instance) ?? '';
  }

  stop(): Promise<void> {
    return this.stack.stop();
  }

  async #import(devices: number): Promise<void> {
    const wanted = Array.from({ length: devices }, (_, index) => ({
      name: sourceDevice(index),
      addresses: ['192.0.2.1:9339'],
      plaintext: true,
      disabled: true, // no ingest runs, and nobody shall look for one
      subscriptions: [{ path: '/' }],
    }));
    const api: ApiClient = this.stack.api();
    await api.call('POST', '/api/v1/devices:import', { devices: wanted });
    await systemClock.sleep(200); // the other instances read it too; readiness is asked for below
  }
}
