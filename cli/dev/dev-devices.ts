import { readFile } from 'node:fs/promises';
import { parse as parseYaml } from 'yaml';
import { type ApiClient } from '../api-client.ts';

/** Devices that `holdfast dev` added carry this label, so that a later run with fewer of them takes the others away. */
const devLabel = 'simulated=true';

interface ListedDevice {
  readonly name: string;
  readonly status?: { readonly state?: string } | null;
}

/** Makes the simulated devices of this run the only simulated ones: adds, changes and removes over HTTP. */
export async function importDevDevices(api: ApiClient, file: string): Promise<number> {
  const wanted = parseYaml(await readFile(file, 'utf8')) as { devices: readonly { name: string }[] };
  await api.call('POST', '/api/v1/devices:import', wanted);
  const names = new Set(wanted.devices.map((device) => device.name));
  for (const { name } of await listDevices(api, { label: devLabel })) {
    if (!names.has(name)) await api.call('DELETE', `/api/v1/devices/${encodeURIComponent(name)}`);
  }
  return names.size;
}

async function listDevices(api: ApiClient, query: Readonly<Record<string, string>>): Promise<readonly ListedDevice[]> {
  return (await api.pages('/api/v1/devices', new URLSearchParams(query), 'devices')) as readonly ListedDevice[];
}
