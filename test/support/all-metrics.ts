import { createMetrics } from '../../core/metrics.ts';
import { createIngestMetrics } from '../../ingest/metrics.ts';
import { createGnmiMetrics } from '../../query-api/gnmi-metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { createStreamMetrics } from '../../query-api/stream-metrics.ts';
import { ReplicatorMetrics } from '../../replicator/metrics.ts';
import { createSimulatorMetrics } from '../../simulator/metrics.ts';

export interface DescribedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** Every metric of ours that a process may export, without starting one. */
export function allMetrics(): DescribedMetric[] {
  const metrics = createMetrics();
  createIngestMetrics(metrics.registry);
  new ReplicatorMetrics(metrics);
  createQueryApiMetrics(metrics, { leaves: () => 0, stalenessMs: () => null, slotsCaughtUp: () => 0 });
  createGnmiMetrics(metrics);
  createStreamMetrics(metrics);
  createSimulatorMetrics(metrics);
  return metrics.registry.getMetricsAsArray().map((metric) => {
    const { name, type, help, labelNames } = metric as unknown as {
      name: string;
      type: string;
      help: string;
      labelNames?: string[];
    };
    return { name, type, help, labels: labelNames ?? [] };
  });
}
