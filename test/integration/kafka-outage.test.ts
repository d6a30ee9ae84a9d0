/** Kafka stopped, or killed and started again, under a running system: said at once, recovered without a restart, nothing silent. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedKafka, forgetKafka } from '../../cli/embedded-kafka.ts';
import { systemClock } from '../../core/clock.ts';
import { eventually } from '../support/eventually.ts';
import { Stack } from '../support/stack.ts';
import { stateEqualsTruth } from '../support/state-audit.ts';
import { TelemetryAudit } from '../support/telemetry-audit.ts';
import { testJars } from '../support/test-cache.ts';

const long = process.env['TEST_LONG'] === '1';
const stoppedMs = long ? 30_000 : 6_000;
const devices = 10;
const slots = 4;
const { signal } = new AbortController();

describe('Kafka goes away and comes back', () => {
  let kafka: EmbeddedKafka;
  let stack: Stack;
  let audit: TelemetryAudit;
  let dataDir = '';

  beforeAll(async () => {
    const jarsDir = await testJars();
    dataDir = await mkdtemp(join(tmpdir(), 'holdfast-outage-'));
    kafka = new EmbeddedKafka({ jarsDir, dataDir, nodes: 1, clock: systemClock });
    await kafka.start(signal);
    const at = { brokers: kafka.brokers, prefix: 'outage.' };
    stack = new Stack({ kafka: at, devices, rate: 5, updates: 10, ingest: 1, slots });
    await stack.start();
    audit = new TelemetryAudit(at, slots);
    await audit.start();
  }, 120_000);

  afterAll(async () => {
    await audit.stop();
    await stack.stop();
    await kafka.stop();
    await forgetKafka(dataDir);
  }, 60_000);

  const readyz = async (instance: string): Promise<number> => (await fetch(`${stack.http(instance)}/readyz`)).status;

  test.each([
    ['stopped', 'SIGTERM'],
    ['killed', 'SIGKILL'],
  ] as const)(
    '%s: /readyz and /cluster say so, then everything goes on by itself',
    async (_how, kill) => {
      await kafka.stopNode(1, kill);
      await eventually('every part says that Kafka is away', 15_000, async () => {
        const states = await Promise.all(['query-api-1', 'ingest-1', 'replicator-1'].map(readyz));
        return states.every((status) => status === 503);
      });
      const cluster = (await stack.api().call('GET', '/api/v1/cluster')) as { kafka: string };
      expect(cluster.kafka).not.toBe('ok');
      for (const part of ['ingest-1', 'query-api-1', 'replicator-1']) {
        expect(
          stack.process(part).logs.some((entry) => entry['level'] === 'warn' && /kafka/i.test(String(entry['msg']))),
        ).toBe(true);
      }
      await systemClock.sleep(stoppedMs);
      await kafka.startNode(1, signal);
      await eventually('every part is ready again', 60_000, async () => {
        const states = await Promise.all(['query-api-1', 'ingest-1', 'replicator-1'].map(readyz));
        return states.every((status) => status === 200);
      });
      await stack.synced(devices, 60_000);
      await audit.readToEnd();
      audit.beginWindow();
      await systemClock.sleep(2_000);
      await audit.readToEnd();
      expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
      expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
      await stack.simulatorCall('POST', '/pause');
      await stateEqualsTruth(stack, 'query-api-1', 30_000);
      await stack.simulatorCall('POST', '/resume');
    },
    180_000,
  );
});
