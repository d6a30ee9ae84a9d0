/** Requests to query-api's gNMI service as short as they can be written, and answers as plain objects. */
import { expect } from '@jest/globals';
import {
  gnmi,
  type GetRequest,
  type GetResponse,
  type GnmiNotification,
  type GnmiSubscription,
  type SubscribeRequest,
  type SubscriptionList,
} from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { formatPath, parsePath, rootPath } from '../../schemas/path.ts';
import { decodeTypedValue, formatValueJson } from '../../schemas/value.ts';
import { type GnmiClient, type Subscriber } from '../simulator/subscriber.ts';

export const second = 1_000_000_000n;

/** A list for these paths of a device, in PROTO; mode ONCE unless said otherwise. */
export function list(
  target: string,
  paths: readonly string[],
  more: Init<SubscriptionList> = {},
  each: Init<GnmiSubscription> = {},
): Init<SubscribeRequest> {
  return {
    subscribe: {
      prefix: { ...rootPath, target },
      mode: 'ONCE',
      encoding: 'PROTO',
      subscription: paths.map((path) => ({ path: parsePath(path), ...each })),
      ...more,
    },
  };
}

/** As `list`, in mode STREAM. */
export const stream = (
  target: string,
  paths: readonly string[],
  each: Init<GnmiSubscription> = { mode: 'ON_CHANGE' },
  more: Init<SubscriptionList> = {},
): Init<SubscribeRequest> => list(target, paths, { mode: 'STREAM', ...more }, each);

export async function get(
  client: GnmiClient,
  target: string,
  paths: readonly string[],
  more: Init<GetRequest> = {},
): Promise<GetResponse> {
  const request = {
    prefix: { ...rootPath, target },
    path: paths.map((path) => parsePath(path)),
    encoding: 'PROTO' as const,
    ...more,
  };
  return gnmi.GetResponse.decode(await client.unary('Get', gnmi.GetRequest.encode(request)));
}

export function jsonOf(val: Buffer | undefined): unknown {
  const value = decodeTypedValue(val ?? Buffer.alloc(0));
  return value === null ? undefined : JSON.parse(formatValueJson(value, 'rfc7951'));
}

/** Updates as `path=value`, deletes as `-path`, both with the prefix's elements. */
export function told({ prefix, update, delete: deletes }: GnmiNotification): string[] {
  const full = (path = rootPath): string =>
    formatPath({ ...rootPath, elems: [...(prefix?.elems ?? []), ...path.elems] });
  return [
    ...deletes.map((path) => `-${full(path)}`),
    ...update.map(({ path, val }) => `${full(path)}=${JSON.stringify(jsonOf(val))}`),
  ];
}

/** Everything a subscriber was told from its n-th response on; `sync` where it was. */
export const toldTo = ({ responses }: Subscriber, from = 0): string[] =>
  responses
    .slice(from)
    .flatMap(({ update, syncResponse }) => (syncResponse === true ? ['sync'] : update ? told(update) : []));

export const notifications = ({ responses }: Subscriber): GnmiNotification[] =>
  responses.flatMap(({ update }) => update ?? []);

/** What a simple collector now has. */
export const holds = ({ leaves }: Subscriber): Record<string, unknown> =>
  Object.fromEntries(
    [...leaves].map(([path, { value }]) => [
      path.replace(/^openconfig:/, ''),
      value === null ? undefined : JSON.parse(formatValueJson(value, 'rfc7951')),
    ]),
  );

/** The RPC ends with this code, and its text says why. */
export async function refuses(
  client: GnmiClient,
  request: Init<SubscribeRequest>,
  code: number,
  says: RegExp,
): Promise<void> {
  const end = await client.subscribe(request).ended();
  expect(end).toEqual({ code, details: expect.stringMatching(says) });
}

export async function fails(call: Promise<unknown>, code: number, says: RegExp): Promise<void> {
  await expect(call).rejects.toMatchObject({ code, details: expect.stringMatching(says) });
}
