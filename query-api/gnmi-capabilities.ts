/** What Capabilities answers: the models of all devices, as they told their owners (E1). Pure. */
import { gnmi, gnmiVersion, type ModelData } from '../schemas/gnmi.ts';
import { type DeviceStatus } from '../schemas/status.ts';
import { gnmiOffers } from './gnmi-request.ts';

/** The encoded CapabilityResponse. */
export function encodeCapabilities(statuses: Iterable<Pick<DeviceStatus, 'models'>>): Buffer {
  const models = new Map<string, ModelData>();
  for (const status of statuses) for (const model of status.models) models.set(modelKey(model), model);
  const sorted = [...models].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, model]) => model);
  return gnmi.CapabilityResponse.encode({ supportedModels: sorted, supportedEncodings: gnmiOffers, gnmiVersion });
}

function modelKey({ name, organization, version }: ModelData): string {
  return [name, organization, version].join('\0');
}
