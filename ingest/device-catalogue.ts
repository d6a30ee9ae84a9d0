import { type Device } from '../schemas/device.ts';
import { type Profile } from '../schemas/profile.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { type DeviceConfig, deviceConfig } from './device-config.ts';

/**
 * The devices of every slot and the profiles they name, kept from the topics `devices` and `profiles`. All slots, not only the
 * held ones: a slot that is taken over has its devices at hand.
 */
export class DeviceCatalogue {
  readonly #slots: number;
  readonly #devices = new Map<string, Device>();
  readonly #profiles = new Map<string, Profile>();
  readonly #bySlot = new Map<Slot, Set<string>>();
  readonly #byProfile = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, Set<string>>();
  readonly #onChange: (name: string) => void;

  /** `onChange` hears the name of every device whose configuration may have changed, gone ones included. */
  constructor(options: { readonly slots: number; readonly onChange: (name: string) => void }) {
    this.#slots = options.slots;
    this.#onChange = options.onChange;
  }

  get size(): number {
    return this.#devices.size;
  }

  setDevice(name: string, device: Device | undefined): void {
    const before = this.#devices.get(name);
    if (before !== undefined) this.#index(name, before, (names) => names.delete(name));
    if (device === undefined) this.#devices.delete(name);
    else {
      this.#devices.set(name, device);
      this.#index(name, device, (names) => names.add(name));
    }
    this.#onChange(name);
  }

  setProfile(name: string, profile: Profile | undefined): void {
    if (profile === undefined) this.#profiles.delete(name);
    else this.#profiles.set(name, profile);
    for (const device of this.#byProfile.get(name) ?? []) this.#onChange(device);
  }

  slotOf(name: string): Slot {
    return slotOf(name, this.#slots);
  }

  /** `undefined`: there is no such device. */
  configOf(name: string): DeviceConfig | undefined {
    const device = this.#devices.get(name);
    return device === undefined ? undefined : deviceConfig(device, (profile) => this.#profiles.get(profile));
  }

  devicesOf(slot: Slot): readonly string[] {
    return [...(this.#bySlot.get(slot) ?? [])];
  }

  /** Devices of the slot that are not disabled; at least 1. */
  weightOf(slot: Slot): number {
    let weight = 0;
    for (const name of this.#bySlot.get(slot) ?? []) {
      if (this.#devices.get(name)?.disabled === false) weight += 1;
    }
    return Math.max(weight, 1);
  }

  /** Other devices, not disabled, with one of this device's addresses, a few of them: most likely one record is wrong. */
  sharingAddress(name: string): readonly { readonly address: string; readonly devices: readonly string[] }[] {
    const device = this.#devices.get(name);
    if (device === undefined || device.disabled) return [];
    return device.addresses.flatMap((address) => {
      const others: string[] = [];
      for (const other of this.#byAddress.get(address) ?? []) {
        if (others.length === othersNamedMax) break;
        if (other !== name && this.#devices.get(other)?.disabled === false) others.push(other);
      }
      return others.length === 0 ? [] : [{ address, devices: [name, ...others] }];
    });
  }

  #index(name: string, device: Device, change: (names: Set<string>) => void): void {
    apply(this.#bySlot, this.slotOf(name), change);
    for (const profile of device.profiles) apply(this.#byProfile, profile, change);
    for (const address of device.addresses) apply(this.#byAddress, address, change);
  }
}

/** A whole fleet behind one address would otherwise be a line of its size per device. */
const othersNamedMax = 5;

function apply<K>(index: Map<K, Set<string>>, key: K, change: (names: Set<string>) => void): void {
  const names = index.get(key) ?? new Set<string>();
  change(names);
  if (names.size === 0) index.delete(key);
  else index.set(key, names);
}
