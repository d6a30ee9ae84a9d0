/** What `/cluster` and `/instances` answer with, and the two questions of monitors. */
import { z } from 'zod';
import { document, envelope, nextToken, wholeNumber } from '../documents.ts';

const reachable = z.enum(['ok', 'unreachable']);

export const clusterAnswer = envelope(
  'ClusterAnswer',
  z.object({
    kafka: reachable,
    schemaRegistry: reachable.optional().describe('Only where an external one is set'),
    slots: z.object({
      total: wholeNumber,
      held: wholeNumber.describe('By ingest: their devices are collected'),
      unanswered: wholeNumber.describe('No query-api of the last seconds reports them fresh'),
    }),
    devices: z.object({ total: wholeNumber, synced: wholeNumber }),
    instances: z.record(z.string(), wholeNumber).describe('Living instances by role'),
    stalenessMs: z.number().nullable().describe('Largest of all slots; null while one is unknown'),
  }),
);

const instanceDocument = document(
  'Instance',
  z.object({
    instance: z.string(),
    role: z.string(),
    http: z.string().nullable(),
    gnmi: z.string().nullable(),
    zone: z.string().nullable(),
    version: z.string(),
    seenMs: z.number().nullable().describe('Since its last sign of life, ms'),
    draining: z.boolean(),
    load: z.number().describe('Cores in use'),
    slots: wholeNumber,
  }),
);

export const instancesAnswer = envelope(
  'InstancesAnswer',
  z.object({ instances: z.array(instanceDocument), next: nextToken }),
);

export const healthAnswer = envelope('HealthAnswer', z.object({ healthy: z.literal(true) }));

const readiness = document('Readiness', z.object({ ready: z.boolean(), reasons: z.array(z.string()) }));
export const readyAnswer = envelope('ReadyAnswer', readiness);
/** Not a problem document: monitors of every process read the same shape. */
export const notReadyAnswer = document('NotReadyAnswer', z.object({ status: z.literal('error'), data: readiness }));
