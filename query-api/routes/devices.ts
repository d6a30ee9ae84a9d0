/** `/api/v1/devices`: what is wanted of devices, beside how they are. */
import { type Device } from '../../schemas/device.ts';
import { formatDevice } from '../../schemas/device-document.ts';
import { type DeviceStatus } from '../../schemas/status.ts';
import { type ApiContext, requireDevice, requireTables } from '../api-context.ts';
import { changedByOf } from '../changed-by.ts';
import { deviceNames } from '../device-filter.ts';
import { knowsTag } from '../etag.ts';
import { pageOf } from '../parameters.ts';
import { labelFilter, paging } from '../query-parameters.ts';
import { aboutDevices } from './about-devices.ts';
import { type Answer, type ApiRequest, param, type Route, success, successText, warningsText } from '../route.ts';

export function deviceRoutes(context: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/devices',
      parameters: { ...labelFilter(context.limits), ...paging(context.limits) },
      about: aboutDevices.list,
      answer: (request) => listDevices(context, request),
    },
    {
      method: 'GET',
      path: '/api/v1/devices/:name',
      parameters: {},
      about: aboutDevices.read,
      answer: (request) => {
        const device = requireDevice(context, param(request, 'name'));
        const { document, etag } = taggedDocument(context, device);
        if (knowsTag(request.header('if-none-match'), etag))
          return { status: 304, body: null, headers: { ETag: etag } };
        return success(document, { ETag: etag });
      },
    },
    {
      method: 'PUT',
      path: '/api/v1/devices/:name',
      parameters: {},
      about: aboutDevices.write,
      answer: async (request) => {
        requireTables(context);
        const changed = await context.desired.putDevice(param(request, 'name'), request.body, authorOf(request));
        const { document, etag } = taggedDocument(context, changed.record);
        return changedAnswer(changed, document, etag);
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/devices/:name',
      parameters: {},
      about: aboutDevices.remove,
      answer: async (request) => {
        const { name } = requireDevice(context, param(request, 'name'));
        await context.desired.deleteDevice(name, authorOf(request));
        return { status: 204, body: null };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/devices\\:import',
      parameters: {},
      about: aboutDevices.import,
      answer: async (request) => {
        requireTables(context);
        const { warnings, ...tallies } = await context.desired.import(request.body, authorOf(request), request.signal);
        return { status: 200, body: successText(JSON.stringify(tallies), warningsText(warnings)) };
      },
    },
  ];
}

function listDevices(context: ApiContext, request: ApiRequest): Answer {
  const { entries, next } = pageOf(deviceNames(context, request.parameters), request.parameters, context.limits);
  return success({ devices: entries.map((name) => deviceDocument(context, requireDevice(context, name))), next });
}

/** The record with its status, as contracts have it; `status` null: no owner has said anything yet. */
function deviceDocument(context: ApiContext, device: Device): { readonly status: object | null } {
  const row = context.tables.status.get(device.name);
  return { ...formatDevice(device), status: row === undefined ? null : statusDocument(row.status) };
}

function taggedDocument(context: ApiContext, device: Device): { readonly document: object; readonly etag: string } {
  const document = deviceDocument(context, device);
  return { document, etag: context.desired.deviceTag(device, JSON.stringify(document.status)) };
}

function statusDocument(status: DeviceStatus): object {
  return {
    state: status.state,
    since: status.sinceNs.toString(),
    instance: status.instance,
    code: status.code === '' ? null : status.code,
    detail: status.detail === '' ? null : status.detail,
    retryAt: status.retryAtNs === 0n ? null : status.retryAtNs.toString(),
  };
}

/** Who asks for a change, and under which conditions. */
export function authorOf(request: ApiRequest): {
  changedBy: string;
  ifMatch: string | undefined;
  ifNoneMatch: string | undefined;
} {
  const [ifMatch, ifNoneMatch] = [request.header('if-match'), request.header('if-none-match')];
  return { changedBy: changedByOf(request), ifMatch, ifNoneMatch };
}

/** 201 for a new record, else 200; what is legal but odd stands beside the data. */
export function changedAnswer(
  changed: { readonly outcome: string; readonly warnings: readonly string[] },
  document: object,
  etag: string,
): Answer {
  const body = successText(JSON.stringify(document), warningsText(changed.warnings));
  return { status: changed.outcome === 'created' ? 201 : 200, body, headers: { ETag: etag } };
}
