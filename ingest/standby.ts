import { type Clock, type Timer } from '../core/clock.ts';
import { type Standby } from '../core/kafka/slot-host.ts';
import { type Component } from '../core/lifecycle.ts';
import { type Slot } from '../schemas/slot.ts';
import { type DeviceCatalogue } from './device-catalogue.ts';
import { stoppedBecause } from './device-config.ts';
import { dialKey, dialTarget, type DialContext } from './dial-target.ts';
import { type PreparedConnections } from './prepared-connections.ts';

/**
 * What ingest does for slots that it may have to take over: the records of their devices are at hand, and a connection to each
 * device is prepared, so that a takeover costs the lock's own steps and a Subscribe.
 *
 * B1. Connections are prepared for the slots stood by for, and for no slot that is held: its sessions have their own.
 * B2. A slot is warm once every device of it was tried; a device that comes or goes later does not make it cold again.
 * B3. While a slot is taken over its prepared connections stay for the sessions; what is not ready by then is given up.
 * B4. Whatever becomes of the plan, the lock or the process: what is not stood by for has no prepared connection.
 */
export interface IngestStandbyOptions {
  readonly catalogue: Pick<DeviceCatalogue, 'devicesOf' | 'slotOf' | 'configOf' | 'weightOf'>;
  /** Device records and profiles were read to their end. */
  readonly caughtUp: () => boolean;
  readonly connections: PreparedConnections;
  /** 0: no connection is prepared, and a slot is warm as soon as the records were read. */
  readonly connectionsMax: number;
  readonly dial: DialContext;
  readonly clock: Clock;
  /** Slots became warm: one call for all of a moment. */
  readonly onWarm: () => void;
}

const gatherMs = 50;

export class IngestStandby implements Standby, Component {
  readonly name = 'standby';
  readonly #options: IngestStandbyOptions;
  /** Slots stood by for, each with the devices that were not tried yet. */
  readonly #untried = new Map<Slot, Set<string>>();
  readonly #warm = new Set<Slot>();
  readonly #held = new Set<Slot>();
  #timer: Timer | null = null;

  constructor(options: IngestStandbyOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.prepare(new Set());
    this.#timer?.cancel();
    this.#timer = null;
    return Promise.resolve();
  }

  prepare(slots: ReadonlySet<Slot>): void {
    for (const slot of [...this.#untried.keys()]) {
      if (slots.has(slot)) continue;
      this.#untried.delete(slot);
      this.#warm.delete(slot);
      if (!this.#held.has(slot)) this.#forget(slot); // B4
    }
    for (const slot of slots) {
      if (this.#untried.has(slot)) continue;
      this.#untried.set(slot, new Set());
      if (!this.#held.has(slot)) this.#begin(slot);
    }
  }

  isWarm(slot: Slot): boolean {
    const { caughtUp, connectionsMax } = this.#options;
    return caughtUp() && (connectionsMax === 0 || this.#warm.has(slot));
  }

  weightOf(slot: Slot): number {
    return this.#options.catalogue.weightOf(slot);
  }

  /** The slot is ours: sessions are about to come (B3). */
  taken(slot: Slot): void {
    this.#held.add(slot);
    this.#warm.delete(slot);
    for (const name of this.#options.catalogue.devicesOf(slot)) this.#options.connections.settle(name);
  }

  /** The slot is not ours any more, released or lost. */
  left(slot: Slot): void {
    if (!this.#held.delete(slot)) return;
    this.#forget(slot); // no session came for these
    if (this.#untried.has(slot)) this.#begin(slot);
  }

  /** The device's record or one of its profiles changed, came or went. */
  deviceChanged(name: string): void {
    const { catalogue, connections } = this.#options;
    const slot = catalogue.slotOf(name);
    if (this.#untried.has(slot) && !this.#held.has(slot)) this.#prepare(slot, name);
    else connections.forget(name); // also one that waits for its session: that one dials what the record says now
  }

  #begin(slot: Slot): void {
    const { catalogue, connectionsMax } = this.#options;
    const names = catalogue.devicesOf(slot);
    const untried = connectionsMax === 0 ? new Set<string>() : new Set(names);
    this.#untried.set(slot, untried);
    for (const name of untried) this.#prepare(slot, name);
    this.#look(slot);
  }

  #prepare(slot: Slot, name: string): void {
    const { catalogue, connections, connectionsMax, dial } = this.#options;
    if (connectionsMax === 0) return;
    const config = catalogue.configOf(name);
    if (config === undefined || stoppedBecause(config) !== null) {
      connections.forget(name);
      this.#tried(slot, name);
      return;
    }
    const { device } = config;
    connections.prepare(name, {
      key: dialKey(device),
      targets: () => device.addresses.map((address) => dialTarget(device, address, dial)),
      onTried: () => this.#tried(slot, name),
    });
  }

  #tried(slot: Slot, name: string): void {
    this.#untried.get(slot)?.delete(name);
    this.#look(slot);
  }

  /** B2 */
  #look(slot: Slot): void {
    if (this.#held.has(slot) || this.#warm.has(slot) || this.#untried.get(slot)?.size !== 0) return;
    this.#warm.add(slot);
    const { clock, onWarm } = this.#options;
    this.#timer ??= clock.after(gatherMs, () => {
      this.#timer = null;
      onWarm();
    });
  }

  #forget(slot: Slot): void {
    const { catalogue, connections } = this.#options;
    for (const name of catalogue.devicesOf(slot)) connections.forget(name);
  }
}
