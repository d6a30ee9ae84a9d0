import { type Metadata, status } from '@grpc/grpc-js';
import { type Clock } from '../core/clock.ts';
import { type Logger } from '../core/logger.ts';
import { type Redacted } from '../core/redacted.ts';
import { formatPath, normaliseOrigin, parsePath, type Path } from '../schemas/path.ts';
import { type TypedValue } from '../schemas/value.ts';
import { type FleetCertificates } from './certificates.ts';
import { healthy } from './conditions.ts';
import { DeviceFaults } from './device-faults.ts';
import { DeviceServer, type DeviceTransport } from './device-server.ts';
import { type Change, DeviceTree, type LeafState } from './device-tree.ts';
import { type FaultInput, faultSchema, isLasting, type MomentaryFault } from './fault.ts';
import { type GnmiContext } from './gnmi-service.ts';
import { deviceIdentity } from './leaf-value.ts';
import { type SimulatorMetrics } from './metrics.ts';
import { type Model } from './model.ts';
import { encodeErrorResponse, encodeHugeMessage, malformedMessage } from './notification-encoder.ts';
import { type OutboxBounds } from './outbox.ts';
import { type Refusal } from '../core/gnmi/refusal.ts';
import { SubscriberHub } from './subscriber-hub.ts';
import { type SubscriptionStream } from './subscription-stream.ts';

/**
 * One simulated device: its tree, its gNMI server, its faults. It has no timer of its own for ticks; the fleet calls
 * `tick`.
 *
 * D1. While it is stalled it does not tick, so a stall makes no hole in its sequence.
 */
export interface DeviceOptions {
  readonly name: string;
  readonly seed: number;
  readonly model: Model;
  readonly transport: DeviceTransport;
  /** Null: nobody is asked who they are. */
  readonly credentials: { readonly username: string; readonly password: Redacted } | null;
  /** Updates per tick, the sequence included. */
  readonly updates: number;
  readonly sampleIntervalMsMin: number;
  /** What may wait for one reader; for tests. */
  readonly outboxBounds?: OutboxBounds;
  readonly clock: Clock;
  readonly metrics: SimulatorMetrics;
  readonly logger: Logger;
}

export interface DeviceSecurity {
  readonly certificates: FleetCertificates;
  /** Collectors must show a certificate of the same authority. */
  readonly mutual: boolean;
}

const containerEvery = 50; // ticks between generations of an atomic container
/** A reader that is this far behind has stopped reading: five minutes of ten ticks a second, or two big messages. */
const outboxBoundsDefault: OutboxBounds = { messages: 3000, bytes: 48 * 1024 * 1024 };

export class SimulatedDevice {
  readonly name: string;
  readonly tree: DeviceTree;
  readonly #options: DeviceOptions;
  readonly #hub: SubscriberHub;
  readonly #server: DeviceServer;
  readonly #conditions = healthy();
  readonly #faults: DeviceFaults;
  readonly #streams = new Set<SubscriptionStream>();
  #held: (() => void)[] = [];
  #security: DeviceSecurity | null = null;

  constructor(options: DeviceOptions) {
    this.name = options.name;
    this.#options = options;
    this.tree = new DeviceTree(deviceIdentity(options.seed, options.name), options.model, () => options.clock.nowNs());
    this.#hub = new SubscriberHub(this.tree);
    this.#server = new DeviceServer(options.transport, this.#context());
    this.#faults = new DeviceFaults({
      conditions: this.#conditions,
      server: this.#server,
      certificates: () => this.#security?.certificates ?? null,
      clock: options.clock,
      refuseStreams: () => this.#refuseStreams(),
      stallEnded: () => this.#stallEnded(),
    });
  }

  /** `host:port`; stays the same through refusals. */
  get address(): string {
    return this.#server.listener.address;
  }

  get port(): number {
    return this.#server.listener.port;
  }

  get sequence(): number {
    return this.tree.sequence;
  }

  /** Open Subscribe RPCs. */
  get streams(): number {
    return this.#streams.size;
  }

  get activeFaults(): readonly string[] {
    return this.#faults.active();
  }

  /** Listens when it resolves; without `security` in plaintext. Throws `LISTEN_IN_USE`. */
  start(security: DeviceSecurity | null = null): Promise<void> {
    this.#security = security;
    if (security !== null) {
      const { certificates, mutual } = security;
      const clientAuthority = mutual ? certificates.authority.cert : null;
      this.#server.tls = { certificate: certificates.server, clientAuthority };
    }
    return this.#server.open();
  }

  async stop(): Promise<void> {
    await this.#faults.clear();
    await this.#server.close();
  }

  tick(): void {
    if (this.#conditions.stalled || this.#conditions.frozen) return; // D1
    this.#publish(this.tree.advance(this.#options.updates));
    if (this.tree.sequence % containerEvery !== 0) return;
    for (const container of this.tree.model.containers) {
      const change = this.tree.advanceContainer(container.index);
      if (change !== null) this.#hub.publishContainer(change);
    }
  }

  /** Present leaves by canonical text with origin, `openconfig:/a/b[k=v]`. */
  truth(): Map<string, LeafState> {
    const leaves = new Map<string, LeafState>();
    for (let index = 0; index < this.tree.leafCount; index += 1) {
      if (this.tree.has(index)) leaves.set(this.tree.shape(index).text, this.tree.state(index));
    }
    return leaves;
  }

  /** Resolves when the fault is in force. Throws where the device cannot have it. */
  async apply(input: FaultInput): Promise<void> {
    const fault = faultSchema.parse(input);
    this.#options.metrics.faults.inc({ kind: fault.kind });
    this.#options.logger.info({ device: this.name, fault: fault.kind }, 'fault begun');
    if (isLasting(fault)) await this.#faults.begin(fault);
    else await this.#once(fault);
  }

  /** Gives a leaf a value that stays until it is restored; a leaf the device does not have is added. */
  setLeaf(path: string, value: TypedValue): void {
    this.#publish(this.tree.pin(leafPath(path), value));
  }

  /** How many leaves went. */
  deleteLeaves(path: string): number {
    const change = this.tree.remove(leafPath(path));
    if (change !== null) this.#publish(change);
    return change?.deleted.reduce((count, { leaves }) => count + leaves.length, 0) ?? 0;
  }

  restoreLeaves(path: string): void {
    const change = this.tree.restore(leafPath(path));
    if (change !== null) this.#publish(change);
  }

  async #once(fault: MomentaryFault): Promise<void> {
    switch (fault.kind) {
      case 'reset':
        this.#server.listener.reset();
        break;
      case 'malformed':
        this.#hub.broadcast(malformedMessage);
        break;
      case 'huge':
        this.#hub.broadcast(encodeHugeMessage(this.tree.stampNs(), fault.bytes));
        break;
      case 'error-response':
        this.#hub.broadcast(encodeErrorResponse(fault.code, fault.message));
        break;
      case 'clock-step':
        this.tree.stepClock(BigInt(fault.byMs) * 1_000_000n);
        break;
      case 'delete':
        this.deleteLeaves(fault.path);
        break;
      case 'restore':
        this.restoreLeaves(fault.path);
        break;
      case 'remove-interface':
        this.deleteLeaves(formatPath(interfacePath(fault.interface)));
        break;
      case 'add-interface':
        this.restoreLeaves(formatPath(interfacePath(fault.interface)));
        break;
      case 'clear':
        await this.#faults.clear();
    }
  }

  #publish(change: Change): void {
    this.#hub.publish(change);
  }

  #refuseStreams(): void {
    const { refusal } = this.#conditions;
    if (refusal === null) return;
    for (const stream of [...this.#streams]) stream.refuse(refusal);
  }

  #stallEnded(): void {
    const held = this.#held;
    this.#held = [];
    for (const work of held) work();
  }

  #context(): GnmiContext {
    const { clock, metrics } = this.#options;
    const conditions = this.#conditions;
    return {
      tree: this.tree,
      hub: this.#hub,
      clock,
      bounds: this.#options.outboxBounds ?? outboxBoundsDefault,
      get answering() {
        return !conditions.stalled;
      },
      get synced() {
        return !conditions.unsynced;
      },
      get hugeBytes() {
        return conditions.hugeBytes;
      },
      limits: () => ({
        deviceName: this.name,
        offers: conditions.offers,
        sends: conditions.sends,
        sampleIntervalMsMin: this.#options.sampleIntervalMsMin,
      }),
      whenAnswering: (work) => {
        if (conditions.stalled) this.#held.push(work);
        else work();
      },
      refusalOf: (metadata) => conditions.refusal ?? this.#checkCredentials(metadata),
      refusalOfCapabilities: () =>
        conditions.noCapabilities ? { code: status.UNIMPLEMENTED, details: 'Capabilities is not implemented' } : null,
      streamOpened: (stream) => this.#streamOpened(stream),
      streamEnded: (stream, overflowed) => {
        if (this.#streams.delete(stream)) metrics.streams.dec();
        if (overflowed) metrics.overflows.inc();
      },
    };
  }

  #streamOpened(stream: SubscriptionStream): Refusal | null {
    if (this.#streams.size >= this.#conditions.streamsMax) {
      return { code: status.RESOURCE_EXHAUSTED, details: `no more than ${this.#conditions.streamsMax} streams` };
    }
    this.#streams.add(stream);
    this.#options.metrics.streams.inc();
    return null;
  }

  #checkCredentials(metadata: Metadata): Refusal | null {
    const { credentials } = this.#options;
    if (credentials === null) return null;
    const username = metadata.get('username')[0];
    const password = metadata.get('password')[0];
    if (username === credentials.username && password === credentials.password.reveal()) return null; // T6
    return { code: status.UNAUTHENTICATED, details: 'user name or password is wrong' };
  }
}

function leafPath(text: string): Path {
  const path = parsePath(text);
  return { ...path, origin: normaliseOrigin(path.origin) };
}

function interfacePath(name: string): Path {
  return {
    origin: 'openconfig',
    target: '',
    elems: [
      { name: 'interfaces', keys: new Map() },
      { name: 'interface', keys: new Map([['name', name]]) },
    ],
  };
}
