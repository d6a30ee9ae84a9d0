import { Counter, Gauge, Histogram } from 'prom-client';
import { type Metrics } from '../core/metrics.ts';

/** What a query-api counts. Labels are closed lists: route patterns, status codes, reasons. */
export interface QueryApiMetrics {
  readonly requestSeconds: Histogram<'route' | 'status'>;
  readonly recordsApplied: Counter;
  readonly recordsDiscarded: Counter<'reason'>;
  readonly leaves: Gauge;
  readonly stalenessSeconds: Gauge;
  readonly slotsCaughtUp: Gauge;
  readonly changes: Counter<'kind'>;
  readonly diverted: Counter<'reason' | 'outcome'>;
  readonly peerAttempts: Counter<'outcome'>;
}

/** Where the gauges read from when they are collected. */
export interface GaugeSources {
  readonly leaves: () => number;
  /** Largest staleness of all slots; `null` while one is unknown. */
  readonly stalenessMs: () => number | null;
  readonly slotsCaughtUp: () => number;
}

export function createQueryApiMetrics(metrics: Metrics, sources: GaugeSources): QueryApiMetrics {
  const registers = [metrics.registry];
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  return {
    requestSeconds: new Histogram({
      name: 'holdfast_query_api_request_seconds',
      help: 'Time to answer a request',
      labelNames: ['route', 'status'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10],
      registers,
    }),
    recordsApplied: new Counter({
      name: 'holdfast_query_api_records_applied_total',
      help: 'Records of the topic state applied to the store',
      registers,
    }),
    recordsDiscarded: new Counter({
      name: 'holdfast_query_api_records_discarded_total',
      help: 'Records of the topic state that were not applied',
      labelNames: ['reason'],
      registers,
    }),
    changes: new Counter({
      name: 'holdfast_query_api_changes_total',
      help: 'Changes of devices, profiles and wishes written',
      labelNames: ['kind'],
      registers,
    }),
    diverted: new Counter({
      name: 'holdfast_query_api_diverted_total',
      help: 'Requests about state that this instance did not answer by itself at once',
      labelNames: ['reason', 'outcome'],
      registers,
    }),
    peerAttempts: new Counter({
      name: 'holdfast_query_api_peer_attempts_total',
      help: 'Questions to other instances, by what they came to',
      labelNames: ['outcome'],
      registers,
    }),
    leaves: gauge('holdfast_query_api_leaves', 'Leaves in the store', sources.leaves),
    slotsCaughtUp: gauge('holdfast_query_api_slots_caught_up', 'Slots read to their end', sources.slotsCaughtUp),
    stalenessSeconds: gauge(
      'holdfast_query_api_staleness_seconds',
      'Largest staleness of all slots; NaN while one is unknown',
      () => (sources.stalenessMs() ?? Number.NaN) / 1000,
    ),
  };
}
