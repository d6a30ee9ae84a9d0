import { expect, test } from '@jest/globals';
import { exportPeerCounters } from '../../../core/kafka/peer-metrics.ts';
import { createMetrics } from '../../../core/metrics.ts';

test('what peer watch counts is a metric of its part, as it stands when somebody scrapes', async () => {
  const counters = { watched: () => 2, ended: 3, gone: 4, nudgesSent: 5, nudgesReceived: 6 };
  const metrics = createMetrics();
  exportPeerCounters(metrics, 'ingest', counters);
  counters.gone = 7;
  await metrics.registry.metrics(); // a scrape adds nothing to the next one
  const found = await metrics.registry.getMetricsAsJSON();
  const values = Object.fromEntries(
    found.map(({ name, values: [first] }) => [name, (first as { value: number }).value]),
  );
  expect(values).toEqual({
    holdfast_ingest_peers_watched: 2,
    holdfast_ingest_peer_connections_ended_total: 3,
    holdfast_ingest_peers_gone_total: 7,
    holdfast_ingest_nudges_sent_total: 5,
    holdfast_ingest_nudges_received_total: 6,
  });
});
