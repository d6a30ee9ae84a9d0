import { Registry } from 'prom-client';
import {} from '../../core/kafka/produce-metrics.ts';
import { noProduceCounters } from '../../core/kafka/produce-dispatcher.ts';
import { createIngestMetrics, idleGauges } from '../../ingest/metrics.ts';

test('what the data path tallies, and what the process holds, is read when somebody scrapes', async () => {
  const registry = new Registry();
  const metrics = createIngestMetrics(registry, {
    ...idleGauges,
    produced: { ...noProduceCounters, ackedRecords: 9 },
    tableLagRecords: () => new Map([['status', 4]]),
    sessionsByState: () => new Map([['synced', 3]]),
    slotsHeld: () => 5,
    unackedBytes: () => 77,
  });
  metrics.tally.messages += 4;
  metrics.tally.messageBytes += 400;
  metrics.prepared.inc({ outcome: 'used' });
  metrics.preparedConnections.set(12);
  const text = await registry.metrics();
  for (const line of [
    'holdfast_ingest_messages_total 4',
    'holdfast_ingest_message_bytes_total 400',
    'holdfast_ingest_sessions{state="synced"} 3',
    'holdfast_ingest_slots 5',
    'holdfast_ingest_prepared_total{outcome="used"} 1',
    'holdfast_ingest_prepared_connections 12',
    'holdfast_ingest_unacked_bytes 77',
    'holdfast_ingest_records_acked_total 9',
    'holdfast_ingest_table_lag_records{topic="status"} 4',
  ])
    expect(text).toContain(line);
  expect(await registry.metrics()).toContain('holdfast_ingest_messages_total 4'); // a second scrape counts nothing twice
});
