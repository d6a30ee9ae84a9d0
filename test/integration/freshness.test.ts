/**
 * How old is a value when an SSE reader gets it? Simulated devices stamp each leaf, one of each part, the broker and the
 * fleet run beside each other, and the reader subtracts. TEST_LONG=1 is the run that docs/performance.md quotes
 * (`npm run test:streams`): 20,000 leaves a second. Milliseconds say nothing on a machine that does other things beside, so
 * the short run leaves it out.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { testKafka } from '../support/kafka.ts';
import { SseClient, type StreamedEvent, type StreamedLeaf } from '../support/sse-client.ts';
import { Stack } from '../support/stack.ts';

const long = process.env['TEST_LONG'] === '1';
const devices = 100;
const rate = 10;
const updates = 20;
const windowMs = 60_000;
const line = { p50: 40, p99: 150 };
/** As docker-compose.yml has it (docs/operations.md, “Much load”). */
const env = { NODE_OPTIONS: '--max-semi-space-size=64' };
const envOf = { replicator: env, 'query-api': env };
const stack = new Stack({ kafka: testKafka(), devices, rate, updates, ingest: 1, queryApi: 1, envOf });

beforeAll(() => (long ? stack.start() : undefined), 120_000);
afterAll(() => (long ? stack.stop() : undefined), 60_000);

(long ? test : test.skip)(
  'from the device to the reader within the line',
  async () => {
    const agesMs: number[] = [];
    let isSynced = false;
    const client: SseClient = new SseClient({
      port: Number(new URL(stack.http('query-api-1')).port),
      path: '/api/v1/state/stream',
      onEvent: ({ event, data }: StreamedEvent) => {
        client.events.length = 0;
        if (event === 'synced') isSynced = true;
        if (event !== 'update' || !isSynced) return;
        const nowNs = systemClock.nowNs();
        for (const { timestamp } of data['leaves'] as StreamedLeaf[])
          agesMs.push(Number((nowNs - BigInt(timestamp)) / 1_000n) / 1_000);
      },
    });
    await client.until('synced', () => isSynced, 20_000);
    await systemClock.sleep(5_000); // code warms up
    agesMs.length = 0;
    await systemClock.sleep(windowMs);
    client.close();
    const sorted = agesMs.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
    process.stdout.write(
      `freshness: ${Math.round(sorted.length / (windowMs / 1_000))} leaves/s from the device to an SSE reader: ` +
        `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, worst ${at(1).toFixed(0)} ms\n`,
    );
    expect(sorted.length).toBeGreaterThan(devices * rate * updates * (windowMs / 1_000) * 0.9);
    expect(at(0.5)).toBeLessThanOrEqual(line.p50);
    expect(at(0.99)).toBeLessThanOrEqual(line.p99);
  },
  windowMs + 60_000,
);
