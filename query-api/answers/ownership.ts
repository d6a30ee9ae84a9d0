/** What `/ownership` takes and answers with, and the wishes about it. */
import { z } from 'zod';
import { document, envelope, epochText, isoTime, nextToken, nsText, positionText, wholeNumber } from '../documents.ts';

const name = z.string();
const group = z.enum(['ingest', 'replicator']);
const reasons = ['start', 'crash', 'drain', 'move', 'balance'] as const;

const slotDocument = document(
  'Slot',
  z.object({
    slot: wholeNumber,
    state: z.enum(['unowned', 'held', 'released']),
    owner: name.nullable(),
    standby: name.nullable(),
    wish: name.nullable().describe('The instance that an operator wishes it to move to'),
    epoch: epochText.nullable(),
    position: positionText.nullable(),
    since: nsText.nullable(),
    reason: z.enum(reasons).nullable(),
  }),
);

export const ownershipAnswer = envelope(
  'OwnershipAnswer',
  z.object({
    plan: z.object({ version: z.string().regex(/^\d+$/), leader: name.nullable() }).nullable(),
    slots: z.array(slotDocument),
    next: nextToken,
  }),
);

/** Longer than any name of an instance, short enough to be sent back. */
export const instanceCharsMax = 256;

export const moveBody = document('MoveBody', z.strictObject({ to: z.string().min(1).max(instanceCharsMax) }));

const change = { changedBy: z.string().nullable(), changedAt: isoTime.nullable() };

export const moveAnswer = envelope(
  'MoveAnswer',
  z.object({
    slot: wholeNumber,
    group,
    to: name,
    owner: name.nullable(),
    pending: z.boolean().describe('false: the slot is there already'),
    ...change,
  }),
  'warnings',
);

export const drainAnswer = envelope(
  'DrainAnswer',
  z.object({ instance: name, group, drain: z.literal(true), incarnation: z.string(), ...change }),
  'warnings',
);

export const resumeAnswer = envelope(
  'ResumeAnswer',
  z.object({ instance: name, drain: z.literal(false), withdrawn: z.boolean() }),
  'warnings',
);
