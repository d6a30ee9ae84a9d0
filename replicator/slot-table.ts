import { DeleteWindow, type DeleteWindowOptions } from './delete-window.ts';
import { DeviceLeaves } from './device-leaves.ts';
import { SessionWatch } from './sweep.ts';

/** What the replicator keeps of one device: its leaves, the times of its deletes, the resyncs under way. */
export interface DeviceState {
  readonly leaves: DeviceLeaves;
  window: DeleteWindow;
  readonly session: SessionWatch;
  /** Newest accepted time: an update near it is not held to be from the future. Null: nothing accepted yet. */
  latestNs: bigint | null;
}

/** The devices of one slot. Leaves follow from `state`, the rest from the part of `telemetry` that a restart reads again. */
export class SlotTable {
  readonly #devices = new Map<string, DeviceState>();
  readonly #options: DeleteWindowOptions;

  constructor(options: DeleteWindowOptions) {
    this.#options = options;
  }

  get leafCount(): number {
    let count = 0;
    for (const { leaves } of this.#devices.values()) count += leaves.size;
    return count;
  }

  device(name: string): DeviceState {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    const device: DeviceState = {
      leaves: new DeviceLeaves(name),
      window: new DeleteWindow(this.#options),
      session: new SessionWatch(),
      latestNs: null,
    };
    this.#devices.set(name, device);
    return device;
  }

  devices(): IterableIterator<DeviceState> {
    return this.#devices.values();
  }

  forget(name: string): void {
    this.#devices.delete(name);
  }

  /** A removed device that comes back is a new one: neither sessions nor delete times carry over. */
  restart(device: DeviceState): void {
    device.session.closed();
    device.window = new DeleteWindow(this.#options);
    device.latestNs = null;
  }

  /** A change of owner ends every session of the slot. */
  endSessions(): void {
    for (const { session } of this.#devices.values()) session.closed();
  }

  /** Records of the slot are missing, and nobody knows whose. */
  holed(): void {
    for (const { session } of this.#devices.values()) session.holed();
  }

  /**
   * The first offset of `telemetry` that the next holder needs, if that is before the records already applied: unfinished
   * resyncs and delete times within the window must be read again. Also forgets delete times beyond the window.
   */
  neededFrom(receivedAtNs: bigint): bigint | null {
    let oldest: bigint | null = null;
    for (const { session, window } of this.#devices.values()) {
      for (const offset of [session.unfinishedFrom(), window.expire(receivedAtNs)]) {
        if (offset !== null && (oldest === null || offset < oldest)) oldest = offset;
      }
    }
    return oldest;
  }
}
