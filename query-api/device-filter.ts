/** `device=` and `label=`: which devices a request is about, in ascending order of their names. */
import { type Device } from '../schemas/device.ts';
import { type ApiContext, requireDevice, requireTables } from './api-context.ts';
import { labelFilters, type LabelFilter, type Parameters } from './parameters.ts';

/** All that match; without filters all devices. Throws `DEVICE_UNKNOWN`, `PARAMETER_INVALID`, `NOT_CAUGHT_UP`. */
export function deviceNames(context: ApiContext, parameters: Parameters): string[] {
  const tables = requireTables(context);
  const labels = labelFilters(parameters);
  const named = parameters.get('device');
  const names: string[] = [];
  if (named !== undefined) {
    for (const name of new Set(named)) if (matchesLabels(requireDevice(context, name), labels)) names.push(name);
  } else {
    for (const [name, device] of tables.devices.entries()) if (matchesLabels(device, labels)) names.push(name);
  }
  return names.sort();
}

/** All of them; a label that is not there matches nothing, not even the empty value. */
export function matchesLabels(device: Pick<Device, 'labels'>, labels: readonly LabelFilter[]): boolean {
  return labels.every(({ name, value }) => device.labels.get(name) === value);
}
