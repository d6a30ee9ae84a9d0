import { Counter } from 'prom-client';
import { type Metrics } from '../metrics.ts';
import { type ProduceCounters } from './produce-dispatcher.ts';

/** What a produce dispatcher counts, for the metrics of the part that has it; read when somebody scrapes. */
const rows: readonly (readonly [keyof ProduceCounters, name: string, help: string])[] = [
  ['requests', 'produce_requests_total', 'Produce requests sent'],
  ['batches', 'produce_batches_total', 'record batches sent, those sent again included'],
  ['bytes', 'produce_bytes_total', 'bytes of record batches sent, compressed, those sent again included'],
  ['ackedRecords', 'records_acked_total', 'records that Kafka has confirmed'],
  ['ackedBatches', 'batches_acked_total', 'record batches that Kafka has confirmed'],
  ['retriedBatches', 'batches_retried_total', 'record batches sent again'],
  ['reinits', 'producer_ids_renewed_total', 'producer ids taken again after the broker had refused one'],
  ['fenced', 'slots_fenced_total', 'slots lost to a newer owner, as the broker sees it'],
  ['givenUpRecords', 'records_given_up_total', 'records that Kafka refused for good'],
];

/** Names are `holdfast_<part>_…`. Once per dispatcher and registry. */
export function exportProduceCounters(
  metrics: Metrics,
  part: 'ingest' | 'replicator',
  counters: Readonly<ProduceCounters>,
): void {
  for (const [key, name, help] of rows) {
    new Counter({
      name: `holdfast_${part}_${name}`,
      help,
      registers: [metrics.registry],
      collect() {
        this.reset();
        this.inc(counters[key]);
      },
    });
  }
}
