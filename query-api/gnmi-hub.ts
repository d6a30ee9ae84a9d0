/**
 * Between the replica's feed and the gNMI streams: each stream hears of its device's changes, or of all devices'.
 *
 * B1. Streams are found by device, so a change costs what its readers cost, however many others there are.
 * B2. A change says which atomic groups it is of: the one whose message brought it or took it away, and the one that the
 *     leaf was in before. All of them is in the store by then (A10, A12).
 * B3. Whoever joins hears every change after that, so it joins before it walks (S13).
 * B4. A stream that fails ends; the others and the feed do not notice.
 * B5. What any reader was told last of the health of a device is what all of them hear the differences from.
 */
import { type Clock, type Timer } from '../core/clock.ts';
import { type Position } from '../schemas/position.ts';
import { slotOf, type Slot } from '../schemas/slot.ts';
import { type DeviceChanges } from './device-changes.ts';
import {
  encodeHealth,
  healthDifference,
  type HealthLeaf,
  type HealthSource,
  type HealthValues,
  healthValues,
} from './gnmi-health.ts';
import { isAtOrBelow, laterOf, rootKeyOf } from './gnmi-group.ts';
import { type LeafChange, type StateFeed, type StateListener } from './state-feed.ts';

/** A change as all its readers share it. */
export interface FedChange {
  readonly change: LeafChange;
  /** Roots of its atomic groups as `origin:/path`, the newest first (B2). */
  readonly roots: readonly string[];
  /** No reader has heard of the leaf, as one of them, with a later time than this. */
  readonly formerNs: bigint | null;
}

export interface HealthChange {
  readonly leaf: HealthLeaf;
  /** False: the leaf is gone. */
  readonly present: boolean;
  readonly timestampNs: bigint;
}

export interface HubReader {
  /** Null: all devices. */
  readonly device: string | null;
  readonly wantsHealth: boolean;
  onChanges(changes: readonly FedChange[]): void;
  onHealth(device: string, changes: readonly HealthChange[]): void;
  onDeviceAdded(device: string): void;
  onDeviceRemoved(device: string): void;
  onSlotReset(slot: Slot): void;
  onFailure(thrown: unknown): void;
}

/** As often as ingest and replicator say how they are. */
const healthEveryMs = 1_000;
const lookUpsMax = 20;

export interface GnmiHubOptions extends HealthSource {
  readonly feed: StateFeed;
  readonly deviceChanges: DeviceChanges;
  readonly clock: Clock;
}

export class GnmiHub implements StateListener {
  readonly #options: GnmiHubOptions;
  readonly #ofDevice = new Map<string, Set<HubReader>>();
  readonly #ofAll = new Set<HubReader>();
  #leave: (() => void) | null = null;
  #timer: Timer | null = null;
  /** What was last said of the health of a device. */
  readonly #health = new Map<string, HealthValues>();

  constructor(options: GnmiHubOptions) {
    this.#options = options;
  }

  /** Returns the way to leave (B3). */
  join(reader: HubReader): () => void {
    const { feed, deviceChanges, clock } = this.#options;
    if (this.#leave === null) {
      const leaveFeed = feed.listen(this);
      const leaveDevices = deviceChanges.listen((device, exists) => this.#deviceChanged(device, exists));
      this.#options.facts.follow(true);
      this.#leave = () => {
        leaveFeed();
        leaveDevices();
        this.#options.facts.follow(false);
      };
    }
    this.#readersOf(reader.device).add(reader);
    if (reader.wantsHealth) this.#timer ??= clock.every(healthEveryMs, () => this.#tellHealth());
    return () => this.#left(reader);
  }

  #left(reader: HubReader): void {
    const { device } = reader;
    const readers = this.#readersOf(device);
    readers.delete(reader);
    if (device !== null && readers.size === 0) this.#ofDevice.delete(device);
    if (this.#timer !== null && this.#healthDevices().size === 0) {
      this.#timer.cancel();
      this.#timer = null;
      this.#health.clear();
    }
    if (this.#ofAll.size + this.#ofDevice.size > 0) return;
    this.#leave?.();
    this.#leave = null;
  }

  #readersOf(device: string | null): Set<HubReader> {
    if (device === null) return this.#ofAll;
    let readers = this.#ofDevice.get(device);
    if (readers === undefined) this.#ofDevice.set(device, (readers = new Set()));
    return readers;
  }

  onChanges(_slot: Slot, changes: readonly LeafChange[], _through: Position): void {
    if (changes.length === 0) return;
    this.#options.facts.heard(changes);
    const fed = withRoots(changes);
    for (const reader of this.#ofAll) this.#tell(reader, () => reader.onChanges(fed));
    if (this.#ofDevice.size === 0) return;
    for (const [device, its] of byDevice(fed, this.#ofDevice)) {
      for (const reader of this.#ofDevice.get(device) ?? []) this.#tell(reader, () => reader.onChanges(its));
    }
  }

  onReset(slot: Slot): void {
    this.#options.facts.follow(true); // what was kept of the slot's devices holds no more
    for (const reader of [...this.#ofAll]) this.#tell(reader, () => reader.onSlotReset(slot));
    for (const [device, readers] of [...this.#ofDevice]) {
      if (slotOf(device, this.#options.slots) !== slot) continue;
      for (const reader of [...readers]) this.#tell(reader, () => reader.onSlotReset(slot));
    }
  }

  #deviceChanged(device: string, exists: boolean): void {
    this.#health.delete(device);
    this.#options.facts.forget(device);
    const readers = [...this.#ofAll, ...(this.#ofDevice.get(device) ?? [])];
    for (const reader of readers) {
      this.#tell(reader, () => (exists ? reader.onDeviceAdded(device) : reader.onDeviceRemoved(device)));
    }
  }

  /** Devices that somebody wants to know the health of, with who. */
  #healthDevices(): Map<string, HubReader[]> {
    const wanted = new Map<string, HubReader[]>();
    const ofAll = [...this.#ofAll].filter(({ wantsHealth }) => wantsHealth);
    if (ofAll.length > 0) {
      for (const [device] of this.#options.tables.devices.entries()) wanted.set(device, [...ofAll]);
    }
    for (const [device, readers] of this.#ofDevice) {
      const its = [...readers].filter(({ wantsHealth }) => wantsHealth);
      if (its.length > 0) wanted.set(device, [...(wanted.get(device) ?? []), ...its]);
    }
    return wanted;
  }

  /** As it is now. All readers of the device hear of it (B5). */
  healthOf(device: string): HealthLeaf[] {
    const values = healthValues(this.#options, device);
    if (this.#timer === null) return encodeHealth(values);
    if (!this.#health.has(device)) this.#health.set(device, values);
    else {
      const readers = [...this.#ofAll, ...(this.#ofDevice.get(device) ?? [])].filter(({ wantsHealth }) => wantsHealth);
      this.#tellHealthOf(device, values, readers);
    }
    return encodeHealth(values);
  }

  #tellHealth(): void {
    let lookUps = 0;
    for (const [device, readers] of this.#healthDevices()) {
      // A walk has looked at most of them; the rest is looked at a few at a time.
      if (!this.#options.facts.isKept(device) && ++lookUps > lookUpsMax) continue;
      this.#tellHealthOf(device, healthValues(this.#options, device), readers);
    }
  }

  /** B5. */
  #tellHealthOf(device: string, now: HealthValues, readers: readonly HubReader[]): void {
    const { changed, gone } = healthDifference(this.#health.get(device), now);
    this.#health.set(device, now);
    if (changed.length + gone.length === 0) return;
    const timestampNs = this.#options.clock.nowNs();
    const changes = [
      ...gone.map((leaf) => ({ leaf, present: false, timestampNs })),
      ...changed.map((leaf) => ({ leaf, present: true, timestampNs })),
    ];
    for (const reader of readers) this.#tell(reader, () => reader.onHealth(device, changes));
  }

  #tell(reader: HubReader, tell: () => void): void {
    try {
      tell();
    } catch (thrown) {
      reader.onFailure(thrown); // B4
    }
  }
}

function byDevice(fed: readonly FedChange[], wanted: ReadonlyMap<string, unknown>): Map<string, FedChange[]> {
  const parts = new Map<string, FedChange[]>();
  for (const one of fed) {
    const { device } = one.change;
    if (!wanted.has(device)) continue;
    const part = parts.get(device);
    if (part === undefined) parts.set(device, [one]);
    else part.push(one);
  }
  return parts;
}

interface AtomicMessage {
  readonly rootKey: string;
  readonly timestampNs: bigint;
}

/** B2. */
function withRoots(changes: readonly LeafChange[]): FedChange[] {
  const messages = new Map<string, AtomicMessage>(); // a position is one message of one device, so it has one root at most
  for (const change of changes) {
    const { key, leaf, timestampNs } = change;
    if (leaf === null || leaf.atomicRoot === '') continue;
    messages.set(positionKey(change), { rootKey: rootKeyOf(key, leaf.atomicRoot), timestampNs });
  }
  return changes.map((change) => {
    const { key, leaf, formerly } = change;
    const message = messages.size === 0 ? undefined : messages.get(positionKey(change));
    const isOf = message !== undefined && (leaf === null ? isAtOrBelow(key, message.rootKey) : leaf.atomicRoot !== '');
    const formerRoot =
      formerly === null || formerly.atomicRoot === '' ? undefined : rootKeyOf(key, formerly.atomicRoot);
    if (!isOf && formerRoot === undefined) return { change, roots: none, formerNs: null };
    const roots = isOf ? [message.rootKey] : [];
    if (formerRoot !== undefined && formerRoot !== roots[0]) roots.push(formerRoot);
    return { change, roots, formerNs: laterOf(formerly?.timestampNs ?? null, isOf ? message.timestampNs : null) };
  });
}

const none: readonly string[] = [];
const positionKey = ({ device, epoch, seq }: LeafChange): string => `${epoch} ${seq} ${device}`;
