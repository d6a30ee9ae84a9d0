import { Counter, Gauge } from 'prom-client';
import { type Metrics } from '../core/metrics.ts';

/** What the streams of this instance count, together. Labels are closed lists. */
export interface StreamMetrics {
  readonly open: Gauge;
  readonly ended: Counter<'outcome'>;
  readonly events: Counter<'event'>;
  readonly coalesced: Counter;
  readonly replays: Counter<'reason'>;
  readonly gaps: Counter<'reason'>;
}

export function createStreamMetrics(metrics: Metrics): StreamMetrics {
  const registers = [metrics.registry];
  return {
    open: new Gauge({
      name: 'holdfast_query_api_streams',
      help: 'Streams of changes that are open',
      registers,
    }),
    ended: new Counter({
      name: 'holdfast_query_api_streams_ended_total',
      help: 'Streams of changes that ended, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    events: new Counter({
      name: 'holdfast_query_api_stream_events_total',
      help: 'Events written to streams, by their name',
      labelNames: ['event'],
      registers,
    }),
    coalesced: new Counter({
      name: 'holdfast_query_api_stream_values_coalesced_total',
      help: 'Sampled values that a newer one took the place of before a reader had taken them',
      registers,
    }),
    replays: new Counter({
      name: 'holdfast_query_api_stream_replays_total',
      help: 'Slots read from the log again for a stream, by reason',
      labelNames: ['reason'],
      registers,
    }),
    gaps: new Counter({
      name: 'holdfast_query_api_stream_gaps_total',
      help: 'Gap events written to streams, by reason',
      labelNames: ['reason'],
      registers,
    }),
  };
}
