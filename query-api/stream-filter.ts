/**
 * Which changes a stream is about: devices by name or by label, and paths.
 *
 * SF1. A device whose record is gone stays what it was, and deletes of devices without a record pass: the record goes
 *      before the leaves do, and a reader that never saw them loses nothing by being told.
 * SF2. A device that begins to match is no member before `joined` has named it: its state is sent first.
 * SF3. Devices are looked through after one of them has changed, not whenever somebody asks: of a thousand streams by label
 *      none costs anything while nothing happens.
 */
import { type Device } from '../schemas/device.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { matchesLabels } from './device-filter.ts';
import { type LabelFilter } from './parameters.ts';
import { type LeafChange } from './state-feed.ts';
import { type HeldSelection, type LeafView, type NamedPattern, type StoreView } from './store.ts';
import { type Rows } from './tables.ts';

export interface StreamFilterOptions {
  readonly patterns: readonly NamedPattern[];
  /** null: all. */
  readonly names: readonly string[] | null;
  readonly labels: readonly LabelFilter[];
  readonly store: StoreView;
  readonly devices: Rows<Device>;
  readonly slotCount: number;
}

export class StreamFilter {
  /** Every slot that a device of the stream may be in, ascending. */
  readonly slots: readonly Slot[];
  readonly #options: StreamFilterOptions;
  readonly #held: HeldSelection;
  readonly #names: ReadonlySet<string> | null;
  /** Of a stream by labels: the devices that match, or did when their record went (SF1). */
  readonly #members = new Set<string>();
  /** Version of the devices that were looked through last (SF3). */
  #lookedAt: number | undefined;

  constructor(options: StreamFilterOptions) {
    const { names, store, patterns, slotCount } = options;
    this.#options = options;
    this.#held = store.hold(patterns);
    this.#names = names === null ? null : new Set(names);
    const all = Array.from({ length: slotCount }, (_, slot) => slot);
    const used = new Set(names?.map((name) => slotOf(name, slotCount)));
    this.slots = names === null ? all : all.filter((slot) => used.has(slot));
  }

  /** The stream has ended. */
  close(): void {
    this.#held.release();
  }

  slotOf(device: string): Slot {
    return slotOf(device, this.#options.slotCount);
  }

  /** Hot: once per change of the stream's slots. */
  covers(change: LeafChange): boolean {
    return this.#coversDevice(change) && this.#held.selection.covers(change.pathId);
  }

  #coversDevice({ device, leaf }: LeafChange): boolean {
    const { labels, devices } = this.#options;
    if (this.#names !== null && !this.#names.has(device)) return false;
    if (labels.length === 0 || this.#members.has(device)) return true;
    return leaf === null && devices.get(device) === undefined; // SF1
  }

  /** Whether a gap of the device concerns the stream. */
  isMember(device: string): boolean {
    if (this.#options.labels.length > 0) return this.#members.has(device);
    return this.#names === null || this.#names.has(device);
  }

  /** The devices that there are now, in ascending order. */
  present(): string[] {
    const { store, labels } = this.#options;
    if (labels.length > 0) {
      this.joined();
      return [...this.#members].sort();
    }
    return this.#names === null ? [...store.devices()].sort() : [...this.#names].sort();
  }

  /** Devices that match since the last call, in ascending order (SF2); those that no longer do are forgotten. */
  joined(): string[] {
    const { labels, devices } = this.#options;
    if (labels.length === 0) return [];
    const { version } = devices;
    if (version !== undefined && version === this.#lookedAt) return []; // SF3
    this.#lookedAt = version;
    const joined: string[] = [];
    for (const [name, device] of devices.entries()) {
      if (this.#names !== null && !this.#names.has(name)) continue;
      if (!matchesLabels(device, labels)) this.#members.delete(name);
      else if (!this.#members.has(name)) {
        this.#members.add(name);
        joined.push(name);
      }
    }
    return joined.sort();
  }

  /** Leaves of a device behind the key `after`, in key order, at most `count`. */
  leaves(device: string, after: string, count: number): readonly LeafView[] {
    const { patterns, store } = this.#options;
    return store.select(patterns).leaves(device, after, count);
  }
}
