import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * A process's metrics: names are `holdfast_<part>_<noun>_<unit>[_total]` in base units, labels come from closed lists.
 * Parts declare theirs in their own `metrics.ts` with `registers: [metrics.registry]`; `docs/metrics.md` lists them all.
 */
export interface Metrics {
  readonly registry: Registry;
}

export function createMetrics(): Metrics {
  return { registry: new Registry() };
}

/** Adds the process's own figures (CPU, memory, event loop). Once per process: they start timers of their own. */
export function collectProcessMetrics(metrics: Metrics): void {
  collectDefaultMetrics({ register: metrics.registry, prefix: 'holdfast_process_' });
}
