/** What `/devices` and `/profiles` take and answer with. */
import { z } from 'zod';
import { errorCodes } from '../../core/errors.ts';
import { deviceDocument, profileDocument } from '../../schemas/device-document.ts';
import { deviceStates } from '../../schemas/status.ts';
import { document, envelope, isoTime, nextToken, nsText, wholeNumber } from '../documents.ts';

const readOnly = { status: true, changedBy: true, changedAt: true } as const;
const change = {
  changedBy: z.string().describe('Who wrote it last, as far as the request said').optional(),
  changedAt: isoTime.optional(),
};

export const statusDocument = document(
  'DeviceStatus',
  z.object({
    state: z.enum(deviceStates),
    since: nsText,
    instance: z.string().describe('The ingest instance that says so'),
    code: z.enum(errorCodes).nullable().describe('Why there is no session'),
    detail: z.string().nullable(),
    retryAt: nsText.nullable().describe('When the device is dialled again; null: not planned'),
  }),
);

export const deviceAnswer = document(
  'Device',
  deviceDocument.omit(readOnly).extend({
    ...change,
    status: statusDocument.nullable().describe('null: no owner has said anything yet'),
  }),
);

export const profileAnswer = document('Profile', profileDocument.omit(readOnly).extend(change));

/** `name` may be left out: the URL has it. */
export const deviceBody = document('DeviceBody', deviceDocument.partial({ name: true }));
export const profileBody = document('ProfileBody', profileDocument.partial({ name: true }));
export const importBody = document(
  'ImportBody',
  z.strictObject({ devices: z.array(deviceDocument).optional(), profiles: z.array(profileDocument).optional() }),
);

export const deviceEnvelope = envelope('DeviceAnswer', deviceAnswer, 'warnings');
export const devicesEnvelope = envelope('DevicesAnswer', z.object({ devices: z.array(deviceAnswer), next: nextToken }));
export const profileEnvelope = envelope('ProfileAnswer', profileAnswer, 'warnings');
export const profilesEnvelope = envelope(
  'ProfilesAnswer',
  z.object({ profiles: z.array(profileAnswer), next: nextToken }),
);

const tally = document('Tally', z.object({ created: wholeNumber, updated: wholeNumber, unchanged: wholeNumber }));
export const importEnvelope = envelope('ImportAnswer', z.object({ devices: tally, profiles: tally }), 'warnings');

export const deviceExample = {
  addresses: ['192.0.2.1:9339'],
  tls: { ca: 'file:/etc/holdfast/ca.pem' },
  credentials: { username: 'telemetry', password: 'file:/run/secrets/leaf' },
  labels: { site: 'fra' },
  profiles: ['interfaces'],
};

export const profileExample = {
  subscriptions: [{ path: '/interfaces/interface/state/counters', mode: 'sample', intervalMs: 10_000 }],
};
