import { DialGate } from './dial-gate.ts';
import { type IngestMetrics } from './metrics.ts';
import { Preparation, type PreparationContext, type PreparationOptions } from './preparation.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Timer } from '../core/clock.ts';
import { type DeviceConnection, type DeviceTransport, type DialTarget } from './transport.ts';

/**
 * A transport that may have dialled already: connections to devices that a session is likely to want soon, each handed over to
 * the first session that dials exactly what it was made for. Everything else is dialled by the transport below.
 *
 * R1. Nothing is subscribed and nothing published here: a prepared connection is no session.
 * R2. One device has at most one prepared connection, and none once a session of it dials.
 * R3. At most `connectionsMax` devices are prepared; the others wait for a place, and count as tried.
 * R4. Preparing has its own gate: however many devices do not answer, a session never waits for it.
 * R5. Secrets are compared again about once a minute: what was made with others is made anew (T4).
 */
export interface PreparedConnectionsOptions extends Omit<PreparationContext, 'gate' | 'metrics'> {
  readonly metrics: Pick<IngestMetrics, 'dials' | 'prepared' | 'preparedConnections'>;
  readonly connectionsMax: number;
  readonly dialsMax: number;
}

export interface Wish {
  /** Equal wishes of a device change nothing. */
  readonly key: string;
  readonly targets: PreparationOptions['targets'];
  /** Prepared, failed, or over the bound: once. */
  readonly onTried: () => void;
}

interface Wanted {
  readonly wish: Wish;
  /** `null`: over the bound (R3). */
  preparation: Preparation | null;
  isTried: boolean;
}

const recheckPeriodMs = 1_000;
/** Every device's secrets are read once in so many periods, a share of the devices in each. */
const recheckPeriods = 60;

export class PreparedConnections implements DeviceTransport, Component {
  readonly name = 'prepared connections';
  readonly #options: PreparedConnectionsOptions;
  readonly #context: PreparationContext;
  readonly #wanted = new Map<string, Wanted>();
  /** Devices without a place, in their order. */
  readonly #over = new Set<string>();
  readonly #ready = new Set<string>();
  #recheckNext: Iterator<[string, Wanted]> | null = null;
  #timer: Timer | null = null;

  constructor(options: PreparedConnectionsOptions) {
    this.#options = options;
    this.#context = { ...options, gate: new DialGate({ max: options.dialsMax }) }; // R4
  }

  start(): Promise<void> {
    this.#timer = this.#options.clock.every(recheckPeriodMs, () => this.#recheck());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    for (const device of [...this.#wanted.keys()]) this.forget(device);
    return Promise.resolve();
  }

  /** Connections that are up and wait for a session. */
  get size(): number {
    return this.#ready.size;
  }

  prepare(device: string, wish: Wish): void {
    const present = this.#wanted.get(device);
    if (present?.wish.key === wish.key) return;
    this.forget(device);
    const wanted: Wanted = { wish, preparation: null, isTried: false };
    this.#wanted.set(device, wanted);
    if (this.#wanted.size - this.#over.size > this.#options.connectionsMax) {
      this.#over.add(device);
      this.#tried(wanted);
    } else this.#begin(device, wanted);
  }

  /** A session is about to dial: what is ready is kept for it, what is not is left to it. */
  settle(device: string): void {
    const wanted = this.#wanted.get(device);
    if (wanted === undefined) return;
    wanted.preparation?.settle();
    if (!this.#ready.has(device)) this.forget(device);
  }

  /** Its connection is gone before this returns, unless a session has it. */
  forget(device: string): void {
    const wanted = this.#wanted.get(device);
    if (wanted === undefined) return;
    this.#wanted.delete(device);
    wanted.preparation?.stop();
    this.#setReady(device, false);
    if (!this.#over.delete(device)) this.#admitNext();
  }

  dial(target: DialTarget): DeviceConnection {
    const taken = this.#wanted.get(target.device)?.preparation?.take(target) ?? null;
    this.forget(target.device); // R2
    return taken ?? this.#options.transport.dial(target);
  }

  isPrepared(target: DialTarget): boolean {
    return this.#wanted.get(target.device)?.preparation?.matches(target) === true;
  }

  preparedAddress(device: string): string | null {
    return this.#wanted.get(device)?.preparation?.readyAddress ?? null;
  }

  #begin(device: string, wanted: Wanted): void {
    const { targets } = wanted.wish;
    const onChange = (): void => {
      if (wanted.preparation !== preparation) return; // made anew meanwhile
      this.#setReady(device, preparation.readyAddress !== null);
      this.#tried(wanted);
    };
    const preparation = new Preparation(this.#context, { targets, onChange });
    wanted.preparation = preparation;
    preparation.start();
  }

  #tried(wanted: Wanted): void {
    if (wanted.isTried) return;
    wanted.isTried = true;
    wanted.wish.onTried();
  }

  #admitNext(): void {
    const [device] = this.#over;
    if (device === undefined) return;
    this.#over.delete(device);
    const wanted = this.#wanted.get(device);
    if (wanted !== undefined) this.#begin(device, wanted);
  }

  /** R5 */
  #recheck(): void {
    this.#recheckNext ??= this.#wanted.entries();
    for (let left = Math.ceil(this.#wanted.size / recheckPeriods); left > 0; left -= 1) {
      const next = this.#recheckNext.next();
      if (next.done === true) {
        this.#recheckNext = null;
        return;
      }
      const [device, wanted] = next.value;
      if (wanted.preparation === null || wanted.preparation.isCurrent()) continue;
      wanted.preparation.stop();
      this.#setReady(device, false);
      this.#begin(device, wanted);
    }
  }

  #setReady(device: string, isReady: boolean): void {
    if (isReady) this.#ready.add(device);
    else this.#ready.delete(device);
    this.#options.metrics.preparedConnections.set(this.#ready.size);
  }
}
