import { type Device } from '../schemas/device.ts';
import { type Profile } from '../schemas/profile.ts';

/**
 * A device record together with the profiles it names: everything that shapes its session, and a fingerprint of exactly that,
 * so that a change which changes nothing disturbs nothing.
 */
export interface DeviceConfig {
  readonly device: Device;
  /** Those that exist, in the record's order. */
  readonly profiles: readonly Profile[];
  readonly missingProfiles: readonly string[];
  readonly fingerprint: string;
}

/** What a record can say that no session would notice: who changed it, how it is labelled and what readers make of its data. */
const withoutEffect = new Set([
  'labels',
  'changedBy',
  'changedAtNs',
  'orderByReceiveTime',
  'honourRootDelete',
  'explodeJson',
]);

export function deviceConfig(device: Device, profileOf: (name: string) => Profile | undefined): DeviceConfig {
  const profiles: Profile[] = [];
  const missingProfiles: string[] = [];
  for (const name of device.profiles) {
    const profile = profileOf(name);
    if (profile === undefined) missingProfiles.push(name);
    else profiles.push(profile);
  }
  const fingerprint = JSON.stringify([device, profiles], (key, value: unknown) =>
    withoutEffect.has(key) ? undefined : value,
  );
  return { device, profiles, missingProfiles, fingerprint };
}

/** Why the device is to have no session at all; `null`: it is to have one. */
export function stoppedBecause(config: DeviceConfig): string | null {
  if (config.device.disabled) return 'disabled in its record';
  if (config.device.addresses.length === 0) return 'the device record has no address';
  const subscriptions = config.device.subscriptions.length + config.profiles.flatMap((one) => one.subscriptions).length;
  if (subscriptions > 0) return null;
  if (config.missingProfiles.length > 0) return `no such profile: ${config.missingProfiles.join(', ')}`;
  return 'no subscriptions: add profiles or subscriptions to the device record';
}
