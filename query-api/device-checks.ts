/** What is wrong, or odd, about devices beside others; what one alone must be is `schemas/device-document.ts`'s. Pure. */
import { type Device } from '../schemas/device.ts';
import { type Profile } from '../schemas/profile.ts';
import { type Rows } from './tables.ts';

/** Profiles that exist neither there nor in the same request. */
export function checkDevices(
  devices: readonly Device[],
  profiles: Pick<Rows<Profile>, 'get'>,
  added: readonly Profile[],
): string[] {
  const names = new Set(added.map((profile) => profile.name));
  return devices.flatMap((device) =>
    device.profiles
      .filter((profile) => !names.has(profile) && profiles.get(profile) === undefined)
      .map((profile) => `device ${device.name}: profile ${JSON.stringify(profile)} does not exist`),
  );
}

const warningsMax = 100;

/** Addresses that more than one device has: legal, and rarely meant. */
export function warningsOf(devices: readonly Device[], present: Pick<Rows<Device>, 'entries'>): string[] {
  const wanted = new Map(devices.map((device) => [device.name, device]));
  const holders = new Map<string, string[]>();
  const note = (device: Device): void => {
    for (const address of device.addresses) holders.set(address, [...(holders.get(address) ?? []), device.name]);
  };
  for (const [name, device] of present.entries()) if (!wanted.has(name)) note(device);
  for (const device of wanted.values()) note(device);
  const warnings: string[] = [];
  for (const device of wanted.values()) {
    for (const address of device.addresses) {
      const others = (holders.get(address) ?? []).filter((name) => name !== device.name);
      if (others.length > 0 && warnings.length < warningsMax) {
        warnings.push(`device ${device.name}: address ${address} is also that of ${others.slice(0, 5).join(', ')}`);
      }
    }
  }
  return warnings;
}
