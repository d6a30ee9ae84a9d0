import { expect, test } from '@jest/globals';
import { type ProduceCounters } from '../../../core/kafka/produce-dispatcher.ts';
import { exportProduceCounters } from '../../../core/kafka/produce-metrics.ts';
import { createMetrics } from '../../../core/metrics.ts';

test('every counter of the dispatcher is a metric of its part, as it stands when somebody scrapes', async () => {
  const counters: ProduceCounters = {
    requests: 1,
    batches: 2,
    bytes: 3,
    ackedRecords: 4,
    ackedBatches: 5,
    retriedBatches: 6,
    reinits: 7,
    fenced: 8,
    givenUpRecords: 9,
  };
  const metrics = createMetrics();
  exportProduceCounters(metrics, 'replicator', counters);
  counters.givenUpRecords = 10;
  await metrics.registry.metrics(); // a scrape adds nothing to the next one
  const found = await metrics.registry.getMetricsAsJSON();
  const values = new Map(found.map(({ name, values: [first] }) => [name, (first as { value: number }).value]));
  expect(values.size).toBe(Object.keys(counters).length);
  expect(values.get('holdfast_replicator_records_given_up_total')).toBe(10);
  expect(values.get('holdfast_replicator_produce_requests_total')).toBe(1);
  for (const name of values.keys()) expect(name).toMatch(/^holdfast_replicator_[a-z_]+_total$/);
});
