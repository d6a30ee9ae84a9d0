import { type Clock, type Timer } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { isLoopback } from '../core/listen-address.ts';
import { type Logger } from '../core/logger.ts';
import { warnUnauthenticated } from '../core/admin-server.ts';
import { type LeafState } from './device-tree.ts';
import { type DeviceOptions, type DeviceSecurity, SimulatedDevice } from './device.ts';
import { type SimulatorMetrics } from './metrics.ts';
import { createModel, type ModelSize } from './model.ts';

/**
 * All devices of a process, and the one timer that makes them tick. Devices are spread over the period, so that a fleet
 * is a steady stream and not a burst.
 *
 * F1. A process that was held up catches up for at most a second; what it leaves out then is counted, and no sequence
 *     number is spent on it.
 */
export interface FleetOptions extends Omit<DeviceOptions, 'name' | 'model' | 'transport' | 'metrics'> {
  readonly names: readonly string[];
  readonly size: ModelSize;
  readonly host: string;
  /** The first device's; the others follow. 0: free ports. */
  readonly basePort: number;
  /** Null: plaintext. Asked for at the start. */
  readonly security: (() => Promise<DeviceSecurity>) | null;
  /** Ticks per second of each device; 0: only when `tick` is called. */
  readonly rate: number;
  readonly metrics: SimulatorMetrics;
}

const turnMs = 10;
const catchUpMs = 1000;

export class Fleet implements Component {
  readonly name = 'simulated devices';
  readonly devices: readonly SimulatedDevice[];
  readonly #byName: ReadonlyMap<string, SimulatedDevice>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: SimulatorMetrics;
  readonly #host: string;
  readonly #security: FleetOptions['security'];
  readonly #periodMs: number;
  readonly #dueAtMs: Float64Array;
  #timer: Timer | null = null;
  #paused = false;

  constructor(options: FleetOptions) {
    const { names, size, host, basePort, security, rate, ...shared } = options;
    const model = createModel(size);
    this.devices = names.map((name, index) => {
      const port = basePort === 0 ? 0 : basePort + index;
      return new SimulatedDevice({ ...shared, name, model, transport: { host, port } });
    });
    this.#byName = new Map(this.devices.map((device) => [device.name, device]));
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#host = host;
    this.#security = security;
    this.#periodMs = rate === 0 ? Infinity : 1000 / rate;
    this.#dueAtMs = new Float64Array(this.devices.length);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Throws `DEVICE_UNKNOWN`. */
  device(name: string): SimulatedDevice {
    const device = this.#byName.get(name);
    if (device === undefined) throw new HoldfastError('DEVICE_UNKNOWN', `there is no simulated device ${name}`);
    return device;
  }

  /** Present leaves of a device by canonical text, `openconfig:/a/b[k=v]`. */
  truth(name: string): Map<string, LeafState> {
    return this.device(name).truth();
  }

  /** The last sequence number the device used. */
  emitted(name: string): bigint {
    return BigInt(this.device(name).sequence);
  }

  /** Devices listen when it resolves. Throws `LISTEN_IN_USE`. */
  async start(): Promise<void> {
    const security = (await this.#security?.()) ?? null;
    // All of them are waited for, so that a port in use leaves nothing half open behind `stop`.
    const starts = await Promise.allSettled(this.devices.map((device) => device.start(security)));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined) throw failed.reason as Error;
    if (!isLoopback({ host: this.#host, port: 0 })) warnUnauthenticated(this.#logger, this.#host);
    this.#metrics.devices.set(this.devices.length);
    this.#spread();
    if (this.#periodMs !== Infinity) this.#timer = this.#clock.every(turnMs, () => this.#turn());
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    await Promise.all(this.devices.map((device) => device.stop()));
  }

  /** No device changes any more by itself; truth and streams stand still until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#spread();
  }

  #spread(): void {
    const nowMs = this.#clock.monotonicMs();
    const count = this.devices.length;
    if (this.#periodMs === Infinity) return;
    for (let index = 0; index < count; index += 1)
      this.#dueAtMs[index] = nowMs + (this.#periodMs * (index + 1)) / count;
  }

  #turn(): void {
    if (this.#paused) return;
    const nowMs = this.#clock.monotonicMs();
    let ticks = 0;
    for (const [index, device] of this.devices.entries()) {
      let dueAtMs = this.#dueAtMs[index] ?? Infinity;
      if (nowMs - dueAtMs > catchUpMs) {
        const skipped = Math.floor((nowMs - catchUpMs - dueAtMs) / this.#periodMs); // F1
        dueAtMs += skipped * this.#periodMs;
        this.#metrics.ticksSkipped.inc(skipped);
      }
      for (; dueAtMs <= nowMs; dueAtMs += this.#periodMs) {
        device.tick();
        ticks += 1;
      }
      this.#dueAtMs[index] = dueAtMs;
    }
    this.#metrics.ticks.inc(ticks);
  }
}
