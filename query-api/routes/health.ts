/** `/metrics`, `/healthz`, `/readyz`: as every process has them, here on the server of the API. */
import { type Readiness } from '../../core/admin-server.ts';
import { type Metrics } from '../../core/metrics.ts';
import { type Route, success } from '../route.ts';

export function healthRoutes(metrics: Metrics, readiness: () => Readiness): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      parameters: null,
      answer: async () => ({
        status: 200,
        body: await metrics.registry.metrics(),
        contentType: metrics.registry.contentType,
      }),
    },
    { method: 'GET', path: '/healthz', parameters: null, answer: () => success({ healthy: true }) },
    {
      method: 'GET',
      path: '/readyz',
      parameters: null,
      answer: () => {
        const now = readiness();
        const status = now.ready ? 'success' : 'error';
        return { status: now.ready ? 200 : 503, body: JSON.stringify({ status, data: now }) };
      },
    },
  ];
}
