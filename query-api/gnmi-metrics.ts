import { Counter, Gauge } from 'prom-client';
import { type Metrics } from '../core/metrics.ts';

/** What the gNMI server counts. `code` is the name of a gRPC status. */
export interface GnmiMetrics {
  readonly streams: Gauge;
  readonly rpcs: Counter<'rpc' | 'code'>;
  readonly messages: Counter;
  readonly updates: Counter;
  readonly deletes: Counter;
  readonly coalesced: Counter;
  readonly suppressed: Counter;
}

export function createGnmiMetrics(metrics: Metrics): GnmiMetrics {
  const registers = [metrics.registry];
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `holdfast_query_api_gnmi_${name}_total`, help, registers });
  return {
    streams: new Gauge({ name: 'holdfast_query_api_gnmi_streams', help: 'Subscribe RPCs that are open', registers }),
    rpcs: new Counter({
      name: 'holdfast_query_api_gnmi_rpcs_total',
      help: 'gNMI RPCs that ended, by RPC and gRPC status',
      labelNames: ['rpc', 'code'],
      registers,
    }),
    messages: counter('messages', 'SubscribeResponse messages handed to readers'),
    updates: counter('updates', 'Updates in these messages'),
    deletes: counter('deletes', 'Deletes in these messages'),
    coalesced: counter('coalesced', 'Changes that a newer one of their leaf was sent for, because the reader was slow'),
    suppressed: counter('suppressed', 'Changes not sent because only the time of their leaf is new'),
  };
}
