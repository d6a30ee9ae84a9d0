import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { stringify } from 'yaml';
import { type SimulatedDevice } from './device.ts';

/**
 * The fleet as a file for `holdfast devices import`: every device with the profile `simulated`, which subscribes to
 * everything as the device thinks best, so that each change is sent once.
 */
export interface DevicesFileOptions {
  /** Host that collectors reach the devices at. */
  readonly host: string;
  /** Null: plaintext. Files that a collector reads. */
  readonly tls: { readonly ca: string; readonly client: { readonly cert: string; readonly key: string } | null } | null;
  /** The password as a reference. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

const sites = ['fra', 'ams', 'lon'];
const roles = ['leaf', 'leaf', 'leaf', 'spine'];

export function formatDevices(devices: readonly SimulatedDevice[], options: DevicesFileOptions): object {
  const { host, tls, credentials } = options;
  const transport =
    tls === null
      ? { plaintext: true }
      : {
          tls: {
            ca: `file:${tls.ca}`,
            ...(tls.client === null ? {} : { cert: `file:${tls.client.cert}`, key: `file:${tls.client.key}` }),
          },
        };
  return {
    devices: devices.map((device, index) => ({
      name: device.name,
      addresses: [host.includes(':') ? `[${host}]:${device.port}` : `${host}:${device.port}`],
      ...transport,
      ...(credentials === null ? {} : { credentials }),
      labels: { simulated: 'true', site: sites[index % sites.length], role: roles[index % roles.length] },
      profiles: ['simulated'],
    })),
    profiles: [{ name: 'simulated', subscriptions: [{ path: '/', mode: 'target-defined' }] }],
  };
}

/** Replaces the file in one step: a reader sees the old fleet or the new one. */
export async function writeDevicesFile(
  path: string,
  devices: readonly SimulatedDevice[],
  options: DevicesFileOptions,
): Promise<void> {
  const target = resolve(path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.new`, stringify(formatDevices(devices, options), { aliasDuplicateObjects: false }));
  await rename(`${target}.new`, target);
}
