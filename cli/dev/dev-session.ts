import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { ApiClient } from '../api-client.ts';
import { type CliContext } from '../context.ts';
import { formatDuration } from '../table-output.ts';
import { devBrokers, type DevBrokers } from './dev-brokers.ts';
import { importDevDevices } from './dev-devices.ts';
import { removeDevFile, writeDevFile } from './dev-file.ts';
import { type DevOptions, devicesFile, type PlannedPart, planParts } from './dev-plan.ts';
import { freePortRange, freePortsFrom } from './free-ports.ts';
import { formatLogLine } from './log-lines.ts';
import { PartProcess } from './part-process.ts';

/**
 * `holdfast dev`: Kafka, then every part as a process of its own, then devices, then the ready line.
 *
 * D1. Whatever was started is stopped, in reverse, when the session ends for any reason.
 * D2. A part that dies is started again after a pause, with a line, and `dev.json` names its new process.
 */
export class DevSession {
  readonly #options: DevOptions;
  readonly #context: CliContext;
  readonly #parts: { plan: PlannedPart; process: PartProcess }[] = [];
  #brokers: DevBrokers | undefined;
  /** Parts that end take each other's peers away; what they say of that is of no use to anybody. */
  #stopping = false;

  constructor(options: DevOptions, context: CliContext) {
    this.#options = options;
    this.#context = context;
  }

  /** Brings everything up; resolves when the fleet is synced and answered for. */
  async start(signal: AbortSignal): Promise<void> {
    const { print, clock } = this.#context;
    const startedAtMs = clock.monotonicMs();
    await mkdir(join(this.#options.dataDir, 'logs'), { recursive: true });
    this.#brokers = await devBrokers(
      { dataDir: this.#options.dataDir, nodes: this.#options.brokers, context: this.#context },
      signal,
    );
    const parts = await this.#plan(this.#brokers.brokers);
    print(`starting ${parts.map((part) => part.instanceId).join(', ')} …`);
    await rm(devicesFile(this.#options.dataDir), { force: true });
    for (const plan of parts) this.#launch(plan);
    this.#writeDevFile();
    const api = this.#api();
    await this.#until(signal, 'query-api to be ready', () => isReady(`${api.base}/readyz`));
    if (this.#options.devices > 0) await this.#bringUpDevices(api, signal);
    this.#printReady(api, clock.monotonicMs() - startedAtMs);
  }

  /** Stops parts in reverse, then Kafka when it is ours. */
  async stop(): Promise<void> {
    const { print } = this.#context;
    this.#stopping = true;
    if (this.#parts.length > 0) print('stopping …');
    await Promise.all(this.#parts.toReversed().map(({ process }) => process.stop())); // D1
    await this.#brokers?.embedded?.stop();
    removeDevFile(this.#options.dataDir);
  }

  /** Ends every child without waiting. */
  kill(): void {
    for (const { process } of this.#parts) process.kill();
    for (const [index] of (this.#brokers?.embedded?.brokers ?? []).entries()) {
      void this.#brokers?.embedded?.stopNode(index + 1, 'SIGKILL');
    }
    removeDevFile(this.#options.dataDir);
  }

  async #plan(brokers: readonly string[]): Promise<PlannedPart[]> {
    const { ingest, replicator, queryApi, devices } = this.#options;
    return planParts(this.#options, brokers, {
      http: [...(await freePortsFrom(8_080, queryApi)), ...(await freePortsFrom(18_081, ingest + replicator))],
      gnmi: await freePortsFrom(9_339, queryApi),
      simulatorControl: (await freePortsFrom(18_070, 1))[0] ?? 0,
      simulatorBase: await freePortRange(20_000, devices),
    });
  }

  #launch(plan: PlannedPart): void {
    const { clock, random, print, env, mainFile } = this.#context;
    const command = {
      part: plan.part,
      instanceId: plan.instanceId,
      command: process.execPath,
      args: [...process.execArgv, mainFile, ...plan.args],
      env,
      logFile: join(this.#options.dataDir, 'logs', `${plan.instanceId}.log`),
    };
    const child = new PartProcess(command, {
      clock,
      random,
      onLine: (line) => {
        const shown = formatLogLine(plan.instanceId, line);
        if (shown !== null && !this.#stopping) print(shown);
      },
      onStarted: () => this.#writeDevFile(), // D2
      onEnded: (why, restartInMs) =>
        print(`${plan.instanceId} ended (${why}); starting it again in ${formatDuration(restartInMs)}`),
    });
    this.#parts.push({ plan, process: child });
    child.start();
  }

  #writeDevFile(): void {
    const parts = this.#parts.flatMap(({ plan, process: { pid } }) =>
      pid === undefined
        ? []
        : [
            {
              part: plan.part,
              instanceId: plan.instanceId,
              pid,
              http: plan.http,
              ...(plan.gnmi === undefined ? {} : { gnmi: plan.gnmi }),
            },
          ],
    );
    const registry = this.#context.env['HOLDFAST_SCHEMA_REGISTRY_URL'];
    const queryApi = this.#plans('query-api')[0]?.http;
    writeDevFile(this.#options.dataDir, {
      brokers: this.#brokers?.brokers ?? [],
      schemaRegistry: registry ?? (queryApi === undefined ? null : `http://${queryApi}`),
      parts,
    });
  }

  #api(): ApiClient {
    return new ApiClient(`http://${this.#plans('query-api')[0]?.http ?? ''}`);
  }

  async #bringUpDevices(api: ApiClient, signal: AbortSignal): Promise<void> {
    let devices = 0;
    await this.#until(signal, 'the simulator', async () => {
      devices = await importDevDevices(api, devicesFile(this.#options.dataDir));
      return true;
    });
    let shown = -1;
    await this.#until(signal, 'devices to sync', async () => {
      const cluster = (await api.call('GET', '/api/v1/cluster')) as { devices: { total: number; synced: number } };
      const { synced, total } = cluster.devices;
      if (synced !== shown) this.#context.print(`devices synced: ${synced} of ${total}`);
      shown = synced;
      return synced >= devices;
    });
    for (const { http } of this.#plans('query-api')) {
      const each = new ApiClient(`http://${http}`);
      await this.#until(signal, `${http} to answer for every device`, async () => {
        const answer = (await each.call('GET', '/api/v1/state?path=/simulator/state/sequence&limit=1')) as {
          total: number;
        };
        return answer.total >= devices;
      });
    }
  }

  #plans(part: PlannedPart['part']): PlannedPart[] {
    return this.#parts.map(({ plan }) => plan).filter((plan) => plan.part === part);
  }

  /** Repeats `check` until it holds; says now and then what it waits for, and why. */
  async #until(signal: AbortSignal, what: string, check: () => Promise<boolean>): Promise<void> {
    const { clock, print } = this.#context;
    const beganAtMs = clock.monotonicMs();
    let saidAtMs = beganAtMs;
    for (;;) {
      const problem = await check().then(
        (holds) => (holds ? null : ''),
        (thrown: unknown) => `: ${messageOf(thrown)}`,
      );
      if (problem === null) return;
      if (clock.monotonicMs() - saidAtMs > 5_000) {
        saidAtMs = clock.monotonicMs();
        print(`waiting for ${what} (${formatDuration(saidAtMs - beganAtMs)})${problem}`);
      }
      await clock.sleep(200, signal);
    }
  }

  #printReady(api: ApiClient, tookMs: number): void {
    const { print } = this.#context;
    const anIngest = this.#parts.find(({ plan }) => plan.part === 'ingest');
    print('');
    print(`holdfast is ready in ${(tookMs / 1000).toFixed(1)} s`);
    print('');
    print(`  page      ${api.base}/   (routes: ${api.base}/api/v1/docs)`);
    for (const { http, instanceId } of this.#plans('query-api'))
      print(`  HTTP      http://${http}/api/v1   (${instanceId})`);
    for (const { gnmi, instanceId } of this.#plans('query-api'))
      if (gnmi !== undefined) print(`  gNMI      ${gnmi}   (${instanceId}, plaintext)`);
    print(`  Kafka     ${this.#brokers?.brokers.join(',') ?? ''}   (${this.#brokers?.what ?? ''})`);
    print(`  logs      ${join(this.#options.dataDir, 'logs')}/`);
    print('');
    print('try:');
    print(`  curl '${api.base}/api/v1/state?path=/interfaces/interface/state/oper-status&limit=3'`);
    print('  npm run -s holdfast -- devices list');
    print(
      `  kill -9 ${anIngest?.process.pid ?? ''}   # ingest-1 dies, the other takes its devices: npm run -s holdfast -- ownership`,
    );
    print('');
    print('stop with Ctrl-C (twice: at once); data are kept, `npm start -- --clean` begins anew');
  }
}

/** Throws with the reasons while a process is not ready. */
async function isReady(url: string): Promise<boolean> {
  const response = await fetch(url);
  if (response.ok) return true;
  const answer = (await response.json()) as { detail?: string; data?: { reasons?: readonly string[] } };
  throw new Error((answer.data?.reasons ?? [answer.detail ?? `status ${response.status}`]).join('; '));
}
