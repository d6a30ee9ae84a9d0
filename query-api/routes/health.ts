/** `/metrics`, `/healthz`, `/readyz`: as every process has them, here on the server of the API. */
import { z } from 'zod';
import { type Readiness } from '../../core/admin-server.ts';
import { type Metrics } from '../../core/metrics.ts';
import { healthAnswer, notReadyAnswer, readyAnswer } from '../answers/cluster.ts';
import { type Route, success } from '../route.ts';

export function healthRoutes(metrics: Metrics, readiness: () => Readiness): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      parameters: null,
      about: {
        group: 'operations',
        summary: 'Metrics for Prometheus',
        answers: { 200: { description: 'Text format', body: z.string(), contentType: metrics.registry.contentType } },
        codes: [],
      },
      answer: async () => ({
        status: 200,
        body: await metrics.registry.metrics(),
        contentType: metrics.registry.contentType,
      }),
    },
    {
      method: 'GET',
      path: '/healthz',
      parameters: null,
      about: {
        group: 'operations',
        summary: 'Whether the process lives',
        answers: { 200: { description: 'It does', body: healthAnswer } },
        codes: [],
      },
      answer: () => success({ healthy: true }),
    },
    {
      method: 'GET',
      path: '/readyz',
      parameters: null,
      about: {
        group: 'operations',
        summary: 'Whether requests should be sent here',
        answers: {
          200: { description: 'Tables are read and every slot is fresh', body: readyAnswer },
          503: { description: 'Not yet, or not any more, with every reason', body: notReadyAnswer },
        },
        codes: [],
      },
      answer: () => {
        const now = readiness();
        const status = now.ready ? 'success' : 'error';
        return { status: now.ready ? 200 : 503, body: JSON.stringify({ status, data: now }) };
      },
    },
  ];
}
