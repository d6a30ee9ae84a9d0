import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { listen } from '../core/listen-address.ts';

/**
 * A real Apache Kafka (KRaft, broker and controller in one process each) as child processes on loopback, for
 * `holdfast dev` and the tests. Data stay in `dataDir` until it is deleted; ports may differ from start to start.
 *
 * E1. A node that this object started is stopped by this object: by process id, first kindly, then for good.
 * E2. `start` resolves only when every broker has said that it serves.
 */
export interface EmbeddedKafkaOptions {
  readonly jarsDir: string;
  readonly dataDir: string;
  readonly nodes: 1 | 3;
  /** First choice for the port of node 1; the others, and it when taken, get free ones. */
  readonly preferredPort?: number;
  /** More lines of `server.properties`, for tests of limits. */
  readonly properties?: Readonly<Record<string, string>>;
  /** `host:port` that clients are told for a node instead of its own address (a test's proxy), by node id. */
  readonly advertised?: Readonly<Record<number, string>>;
  /** Where nodes reach each other, by node id: gets their real addresses before they start, gives a test's proxies. */
  readonly between?: (nodes: ReadonlyMap<number, NodeAddresses>) => Promise<ReadonlyMap<number, NodeAddresses>>;
  readonly clock: Clock;
}

/** `host:port` of the two listeners that other nodes use. */
export interface NodeAddresses {
  readonly broker: string;
  readonly controller: string;
}

interface Node {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  /** Where brokers reach it, when that is not `port`. */
  readonly internalPort: number | undefined;
  readonly dir: string;
  process: ChildProcess | undefined;
}

const host = '127.0.0.1';
const startMsMax = 60_000; // a cold JVM on a busy two-core machine takes 10 s
const stopMsMax = 15_000;
const portAttemptsMax = 3;

export class EmbeddedKafka implements Component {
  readonly name = 'embedded kafka';
  readonly #options: EmbeddedKafkaOptions;
  #nodes: Node[] = [];
  /** How nodes see each other. */
  #seenAs: ReadonlyMap<number, NodeAddresses> = new Map();

  constructor(options: EmbeddedKafkaOptions) {
    this.#options = options;
  }

  get brokers(): string[] {
    return this.#nodes.map((node) => `${host}:${node.port}`);
  }

  /** Process id of a node, for tests that kill or freeze it. */
  pid(nodeId: number): number | undefined {
    return this.#node(nodeId).process?.pid;
  }

  /** `signal` abandons the start; what was started is stopped by `stop`. */
  async start(signal: AbortSignal): Promise<void> {
    await mkdir(this.#options.dataDir, { recursive: true });
    const clusterId = await this.#clusterId();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#startNodes(clusterId, signal);
        return;
      } catch (thrown) {
        // Between our look and Kafka's bind somebody's outgoing connection may have taken a port: other ports, again.
        const taken =
          thrown instanceof HoldfastError && String(thrown.facts['logTail']).includes('Address already in use');
        if (!taken || attempt === portAttemptsMax) throw thrown;
        await this.stop();
      }
    }
  }

  async #startNodes(clusterId: string, signal: AbortSignal): Promise<void> {
    const { dataDir, nodes, between } = this.#options;
    const ports = await freePorts(nodes * 3, this.#options.preferredPort);
    this.#nodes = Array.from({ length: nodes }, (_, index) => ({
      id: index + 1,
      port: ports[index] as number,
      controllerPort: ports[nodes + index] as number,
      internalPort: between === undefined ? undefined : ports[2 * nodes + index],
      dir: join(dataDir, `node-${index + 1}`),
      process: undefined,
    }));
    const addresses = new Map(this.#nodes.map((node) => [node.id, addressesOf(node)]));
    this.#seenAs = (await between?.(addresses)) ?? addresses;
    await Promise.all(this.#nodes.map((node) => this.#prepare(node, clusterId, signal)));
    await Promise.all(this.#nodes.map((node) => this.#launch(node, signal)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => this.stopNode(node.id)));
  }

  /** Ends one node; with `SIGKILL` as a crash would. */
  async stopNode(nodeId: number, kill: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const node = this.#node(nodeId);
    const running = node.process;
    if (!isRunning(running)) return;
    const exited = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    running.kill(kill);
    running.kill('SIGCONT'); // a frozen node would not see SIGTERM
    const timer = this.#options.clock.after(stopMsMax, () => running.kill('SIGKILL')); // E1
    await exited;
    timer.cancel();
    node.process = undefined;
  }

  /** Starts a node that was stopped. */
  async startNode(nodeId: number, signal: AbortSignal): Promise<void> {
    if (isRunning(this.#node(nodeId).process)) throw new Error(`node ${nodeId} is running`); // E1
    await this.#launch(this.#node(nodeId), signal);
  }

  /** The end of a node's log, for messages that must say why it did not start. */
  async logTail(nodeId: number): Promise<string> {
    const text = await readFile(this.#logFile(this.#node(nodeId)), 'utf8').catch(() => '');
    return text.slice(-2_000);
  }

  #node(nodeId: number): Node {
    const node = this.#nodes[nodeId - 1];
    if (node === undefined) throw new RangeError(`there is no node ${nodeId}`);
    return node;
  }

  #logFile(node: Node): string {
    return join(node.dir, 'kafka.log');
  }

  async #clusterId(): Promise<string> {
    const file = join(this.#options.dataDir, 'cluster-id');
    const known = await readFile(file, 'utf8').catch(() => null);
    if (known !== null) return known.trim();
    const fresh = randomBytes(16).toString('base64url');
    await writeFile(file, fresh);
    return fresh;
  }

  async #prepare(node: Node, clusterId: string, signal: AbortSignal): Promise<void> {
    await mkdir(node.dir, { recursive: true });
    await writeFile(join(node.dir, 'log4j2.properties'), log4jProperties);
    await writeFile(join(node.dir, 'server.properties'), this.#properties(node));
    const formatted = await readFile(join(node.dir, 'data', 'meta.properties'), 'utf8').catch(() => null);
    if (formatted !== null) return;
    // One argument: an id may begin with a hyphen, one in 64 does.
    const args = ['format', `--cluster-id=${clusterId}`, '-c'];
    const format = this.#java(node, 'kafka.tools.StorageTool', args, signal);
    const code = await new Promise<number | null>((resolve) => format.once('exit', resolve));
    signal.throwIfAborted();
    if (code !== 0) throw await this.#failed(node, 'could not format its data folder');
  }

  async #launch(node: Node, signal: AbortSignal): Promise<void> {
    const child = this.#java(node, 'kafka.Kafka', [], signal);
    node.process = child;
    const outcome = await new Promise<'serving' | 'exited' | 'timeout'>((resolve) => {
      const timer = this.#options.clock.after(startMsMax, () => resolve('timeout'));
      child.once('exit', () => resolve('exited'));
      child.once('error', () => resolve('exited'));
      let seen = '';
      const watch = (chunk: Buffer): void => {
        seen = (seen + chunk.toString()).slice(-500);
        if (!seen.includes('Kafka Server started')) return; // E2
        child.stdout?.off('data', watch);
        timer.cancel();
        resolve('serving');
      };
      child.stdout?.on('data', watch);
      child.once('exit', () => timer.cancel());
    });
    signal.throwIfAborted();
    if (outcome === 'serving') return;
    await this.stopNode(node.id, 'SIGKILL');
    throw await this.#failed(
      node,
      outcome === 'exited' ? 'stopped during its start' : `did not start within ${startMsMax / 1000} s`,
    );
  }

  #java(node: Node, mainClass: string, args: readonly string[], signal: AbortSignal): ChildProcess {
    signal.throwIfAborted();
    const jvm = ['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
    const log4j = `-Dlog4j2.configurationFile=${join(node.dir, 'log4j2.properties')}`;
    const classPath = join(this.#options.jarsDir, '*');
    // Detached from the terminal's process group: Ctrl-C must reach us first, so that we stop it in order (E1).
    const child = spawn(
      'java',
      [...jvm, log4j, '-cp', classPath, mainClass, ...args, join(node.dir, 'server.properties')],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    const log = createWriteStream(this.#logFile(node), { flags: 'a' });
    log.on('error', () => undefined); // a full disk ends the broker; it must not end us
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.once('close', () => log.end());
    return child;
  }

  #properties(node: Node): string {
    const replicas = String(this.#nodes.length);
    const inSync = this.#nodes.length === 1 ? '1' : '2';
    const properties: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': String(node.id),
      ...this.#listeners(node),
      'log.dirs': join(node.dir, 'data'),
      'auto.create.topics.enable': 'false',
      'group.initial.rebalance.delay.ms': '0', // else 3 s at the first join
      'group.min.session.timeout.ms': '1000', // tests use short ones
      'offsets.topic.num.partitions': '8', // default 50: half a second of start
      'transaction.state.log.num.partitions': '4',
      'offsets.topic.replication.factor': replicas,
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': inSync,
      'min.insync.replicas': inSync,
      'share.coordinator.state.topic.replication.factor': replicas,
      'share.coordinator.state.topic.min.isr': inSync,
      // A lone broker is let in again only when its former self has been silent for this long (default 9 s).
      ...(this.#nodes.length === 1
        ? { 'broker.session.timeout.ms': '1500', 'broker.heartbeat.interval.ms': '300' }
        : {}),
      'controlled.shutdown.enable': this.#nodes.length === 1 ? 'false' : 'true',
      ...this.#options.properties,
    };
    return Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('');
  }

  #listeners(node: Node): Record<string, string> {
    const voters = this.#nodes.map(({ id }) => `${id}@${this.#seenAs.get(id)?.controller ?? ''}`).join(',');
    const client = `PLAINTEXT://${this.#options.advertised?.[node.id] ?? `${host}:${node.port}`}`;
    const seenAs = this.#seenAs.get(node.id);
    const apart = node.internalPort !== undefined && seenAs !== undefined;
    return {
      'controller.quorum.voters': voters,
      'controller.listener.names': 'CONTROLLER',
      listeners: [
        `PLAINTEXT://${host}:${node.port}`,
        `CONTROLLER://${host}:${node.controllerPort}`,
        ...(apart ? [`INTERNAL://${host}:${node.internalPort}`] : []),
      ].join(','),
      'advertised.listeners': apart
        ? `${client},INTERNAL://${seenAs.broker},CONTROLLER://${seenAs.controller}`
        : client,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'inter.broker.listener.name': apart ? 'INTERNAL' : 'PLAINTEXT',
    };
  }

  async #failed(node: Node, what: string): Promise<HoldfastError> {
    const tail = await this.logTail(node.id);
    const locked = tail.includes('Failed to acquire lock');
    const remedy = locked
      ? `another Kafka uses ${this.#options.dataDir}; stop it, or choose another folder with --data`
      : `see ${this.#logFile(node)}; --clean forgets its data`;
    return new HoldfastError('KAFKA_UNREACHABLE', `the embedded Kafka ${what}: ${remedy}`, {
      facts: { logTail: tail },
    });
  }
}

function addressesOf({ port, internalPort, controllerPort }: Node): NodeAddresses {
  return { broker: `${host}:${internalPort ?? port}`, controller: `${host}:${controllerPort}` };
}

/** Forgets everything a stopped embedded Kafka kept. */
export async function forgetKafka(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

async function freePorts(count: number, preferred: number | undefined): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const [index, server] of servers.entries()) {
    const wanted = index === 0 ? (preferred ?? 0) : 0;
    ports.push(await listen(server, { host, port: wanted }).catch(() => listen(server, { host, port: 0 })));
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const log4jProperties = `status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
`;
