/** What the routes of devices and profiles tell about themselves. */
import {
  deviceBody,
  deviceEnvelope,
  deviceExample,
  devicesEnvelope,
  importBody,
  importEnvelope,
  profileBody,
  profileEnvelope,
  profileExample,
  profilesEnvelope,
} from '../answers/devices.ts';
import { author, changes, readsTables, type RouteDescription, takesBody } from '../route-description.ts';

/** Headers of requests that ask about the record's tag. */
const unchanged = { 'If-None-Match': 'ETag of the answer that is known: 304 if it is still that' };
const preconditions = {
  ...author,
  'If-Match': 'Only if the record has this ETag; * for any',
  'If-None-Match': 'Only if the record has another ETag; * for none at all',
};

export const aboutDevices = {
  list: {
    group: 'devices',
    summary: 'Devices with their status, by name',
    answers: { 200: { description: 'The devices', body: devicesEnvelope } },
    codes: readsTables,
  },
  read: {
    group: 'devices',
    summary: 'One device with its status',
    requestHeaders: unchanged,
    answers: {
      200: { description: 'The device', body: deviceEnvelope, headers: ['ETag'] },
      304: { description: 'It is as If-None-Match says', body: null, headers: ['ETag'] },
    },
    codes: [...readsTables, 'DEVICE_UNKNOWN'],
  },
  write: {
    group: 'devices',
    summary: 'Add or replace a device',
    description:
      'Answered when the record is durable and visible here. `status`, `changedBy` and `changedAt` are ignored; what changes nothing disturbs no session.',
    body: { schema: deviceBody, example: deviceExample },
    requestHeaders: preconditions,
    answers: {
      200: { description: 'It was there already', body: deviceEnvelope, headers: ['ETag'] },
      201: { description: 'It is new', body: deviceEnvelope, headers: ['ETag'] },
    },
    codes: [...changes, ...takesBody, 'PRECONDITION_FAILED'],
  },
  remove: {
    group: 'devices',
    summary: 'Remove a device and its state',
    requestHeaders: preconditions,
    answers: { 204: { description: 'It is removed', body: null } },
    codes: [...changes, 'DEVICE_UNKNOWN', 'PRECONDITION_FAILED'],
  },
  import: {
    group: 'devices',
    summary: 'Add or replace many devices and profiles; all of them or none',
    requestHeaders: author,
    body: { schema: importBody, example: { devices: [{ name: 'leaf-1', ...deviceExample }] } },
    answers: { 200: { description: 'How many were new, changed or as they were', body: importEnvelope } },
    codes: [...changes, ...takesBody],
  },
} as const satisfies Record<string, RouteDescription>;

export const aboutProfiles = {
  list: {
    group: 'devices',
    summary: 'Named sets of subscriptions',
    answers: { 200: { description: 'The profiles, by name', body: profilesEnvelope } },
    codes: readsTables,
  },
  read: {
    group: 'devices',
    summary: 'One profile',
    requestHeaders: unchanged,
    answers: {
      200: { description: 'The profile', body: profileEnvelope, headers: ['ETag'] },
      304: { description: 'It is as If-None-Match says', body: null, headers: ['ETag'] },
    },
    codes: [...readsTables, 'PROFILE_UNKNOWN'],
  },
  write: {
    group: 'devices',
    summary: 'Add or replace a profile',
    body: { schema: profileBody, example: profileExample },
    requestHeaders: preconditions,
    answers: {
      200: { description: 'It was there already', body: profileEnvelope, headers: ['ETag'] },
      201: { description: 'It is new', body: profileEnvelope, headers: ['ETag'] },
    },
    codes: [...changes, ...takesBody, 'PRECONDITION_FAILED'],
  },
  remove: {
    group: 'devices',
    summary: 'Remove a profile that no device names',
    requestHeaders: preconditions,
    answers: { 204: { description: 'It is removed', body: null } },
    codes: [...changes, 'PROFILE_UNKNOWN', 'PROFILE_IN_USE', 'PRECONDITION_FAILED'],
  },
} as const satisfies Record<string, RouteDescription>;
