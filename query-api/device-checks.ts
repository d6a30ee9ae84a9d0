/** What is wrong, or odd, about devices beside others; what one alone must be is `schemas/device-document.ts`'s. Pure. */
import { type Device } from '../schemas/device.ts';
import { namePattern } from '../schemas/device-document.ts';
import { type Profile } from '../schemas/profile.ts';
import { type Rows } from './tables.ts';

/** Of a device that may be wrong otherwise: its name and the profiles it wants, as far as they can be read. */
export interface ProfileWish {
  readonly name: string;
  readonly profiles: readonly string[];
}

/** Profiles that exist neither there nor in the same request. */
export function checkProfiles(
  wishes: readonly ProfileWish[],
  profiles: Pick<Rows<Profile>, 'get'>,
  added: ReadonlySet<string>,
): string[] {
  return wishes.flatMap((device) =>
    device.profiles
      .filter((profile) => !added.has(profile) && profiles.get(profile) === undefined)
      .map((profile) => `device ${device.name}: profile ${JSON.stringify(profile)} does not exist`),
  );
}

/** More are refused by the parser. */
const profilesMax = 10_000;

/** The wishes in a list of device documents as they came; what is no name is a problem told by the parser. */
export function wishesOf(devices: unknown): ProfileWish[] {
  return itemsOf(devices).map((device) => {
    const profiles = itemsOrTexts(field(device, 'profiles')).slice(0, profilesMax).filter(isName);
    const name = field(device, 'name');
    return { name: isName(name) ? name : '?', profiles };
  });
}

/** The names in a list of profile documents as they came. */
export function namesOf(profiles: unknown): Set<string> {
  return new Set(
    itemsOf(profiles)
      .map((profile) => field(profile, 'name'))
      .filter(isName),
  );
}

function itemsOf(list: unknown): object[] {
  return itemsOrTexts(list).filter((item): item is object => typeof item === 'object' && item !== null);
}

function itemsOrTexts(list: unknown): unknown[] {
  return Array.isArray(list) ? list : [];
}

function field(item: object, name: string): unknown {
  return Object.hasOwn(item, name) ? (item as Record<string, unknown>)[name] : undefined;
}

function isName(text: unknown): text is string {
  return typeof text === 'string' && namePattern.test(text);
}

const warningsMax = 100;
const othersMax = 5;

/**
 * Addresses that more than one device has: legal, and rarely meant. Linear in the devices, however many share one:
 * a request of thousands must not hold up all others.
 */
export function warningsOf(devices: readonly Device[], present: Pick<Rows<Device>, 'entries'>): string[] {
  const wanted = new Map(devices.map((device) => [device.name, device]));
  const holders = new Map<string, string[]>();
  for (const { addresses } of devices) for (const address of addresses) holders.set(address, []);
  const note = (device: Device): void => {
    for (const address of device.addresses) {
      const names = holders.get(address);
      if (names !== undefined && names.length <= othersMax) names.push(device.name); // the device itself and the others
    }
  };
  for (const [name, device] of present.entries()) if (!wanted.has(name)) note(device);
  for (const device of wanted.values()) note(device);
  const warnings: string[] = [];
  for (const device of wanted.values()) {
    for (const address of device.addresses) {
      if (warnings.length >= warningsMax) return warnings;
      const others = (holders.get(address) ?? []).filter((name) => name !== device.name);
      if (others.length === 0) continue;
      warnings.push(
        `device ${device.name}: address ${address} is also that of ${others.slice(0, othersMax).join(', ')}`,
      );
    }
  }
  return warnings;
}
