/**
 * What a reader costs that stopped reading: one SSE and one gNMI reader of everything are paused while `state` goes on, and
 * a third reads one device. The instance's memory is measured after a collection, before and at the end of the pause; then
 * both go on, and every operation is accounted for. TEST_LONG=1 is the run that docs/performance.md quotes
 * (`npm run test:streams`).
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { collectedMemory, collectorEnv } from '../support/collected-memory.ts';
import { eventually } from '../support/eventually.ts';
import { GnmiReader } from '../support/gnmi-reader.ts';
import { testKafka } from '../support/kafka.ts';
import { SseClient, type StreamedEvent, type StreamedLeaf } from '../support/sse-client.ts';
import { sourceDevice, StateSource } from '../support/state-source.ts';
import { type SentLeaf, StreamAudit } from '../support/stream-audit.ts';
import { StreamStage } from '../support/stream-stage.ts';

const long = process.env['TEST_LONG'] === '1';
const perSecond = long ? 50_000 : 8_000;
const stalledMs = long ? 60_000 : 6_000;
const devices = long ? 100 : 40;
const leavesPerDevice = 500;
/**
 * What a change that waits is said to take in the queue of either reader (docs/performance.md), bytes: `bench/queue-entry.ts`
 * measures 268 of an SSE stream and 364 of a gNMI one.
 */
const entryBytes = 400;
/** As long as the instance may be behind when the source stops. */
const drainMs = 3_000;
const slots = 8;
const instance = 'query-api-1';
const kafka = testKafka();
const stage = new StreamStage(kafka, slots, {}, collectorEnv);
const source = new StateSource({
  ...{ kafka, slots, devices, leavesPerDevice, sampledPerDevice: leavesPerDevice / 2 },
  ...{ seed: 11, deletes: false },
});

beforeAll(() => stage.start(1, source), 180_000);

afterAll(async () => {
  await source.stop();
  await stage.stop();
}, 60_000);

/** Ages at arrival of what one reader gets, ms. */
class Ages {
  readonly ms: number[] = [];
  readonly client: SseClient;

  constructor() {
    this.client = new SseClient({
      port: stage.port(instance),
      path: `/api/v1/state/stream?device=${sourceDevice(0)}`,
      onEvent: (event) => this.#take(event),
    });
  }

  /** Of what came since the last time. */
  p99(): number {
    const sorted = this.ms.splice(0).sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
  }

  #take(event: StreamedEvent): void {
    this.client.events.length = 0;
    const nowNs = systemClock.nowNs();
    for (const { timestamp } of (event.data['leaves'] ?? []) as StreamedLeaf[])
      this.ms.push(Number((nowNs - BigInt(timestamp)) / 1_000n) / 1_000);
  }
}

test(
  'a stalled reader costs bounded memory, disturbs nobody, and gets all of it when it goes on',
  async () => {
    const process_ = stage.stack.process(instance);
    const neighbour = new Ages();
    await source.run(perSecond * (stalledMs / 4_000), perSecond); // warm, and what is quiet
    const quietP99 = neighbour.p99();

    const audit = new StreamAudit(source);
    let isWalked = false;
    const sse: SseClient = new SseClient({
      port: stage.port(instance),
      path: '/api/v1/state/stream',
      onEvent: ({ event, data }) => {
        sse.events.length = 0;
        if (event === 'synced') isWalked = true;
        if (event === 'gap') audit.wrong.push(`gap ${JSON.stringify(data)}`);
        for (const leaf of (event === 'update' ? data['leaves'] : []) as SentLeaf[])
          if (isWalked) audit.updated(leaf);
          else audit.walked(leaf);
      },
    });
    const gnmi = new GnmiReader(stage.gnmi(instance));
    const holdsState = (): boolean =>
      source.leaves.flat().every((leaf) => gnmi.leaves.get(leaf.key.toString()) === String(leaf.operations));
    await eventually('both readers have what there is', 60_000, () => {
      return isWalked && gnmi.synced && holdsState() && audit.differences().length === 0;
    });
    const leaves = devices * leavesPerDevice;
    const [walked, merged] = [gnmi.updates, gnmi.duplicates];
    const sent = audit.updates + audit.coalesced;
    const before = await collectedMemory(process_);
    sse.pause();
    gnmi.pause();
    const writtenBefore = source.written;
    const rate = await source.run(perSecond * (stalledMs / 1_000), perSecond);
    const produced = source.written - writtenBefore;
    await systemClock.sleep(drainMs); // what it has fetched and not yet applied is no reader's
    const after = await collectedMemory(process_);
    const stalledP99 = neighbour.p99();
    const grownBytes = after.heapUsed + after.external - before.heapUsed - before.external;
    const grown = (what: 'heapUsed' | 'external'): string => ((after[what] - before[what]) / 1_048_576).toFixed(1);
    process.stdout.write(`stalled readers: heap ${grown('heapUsed')}, external ${grown('external')} MiB\n`);
    process.stdout.write(
      `stalled readers: ${produced} operations in ${stalledMs / 1_000} s (${Math.round(rate)}/s) on ${leaves} leaves: ` +
        `${(grownBytes / 1_048_576).toFixed(1)} MiB more (line ${((2 * leaves * entryBytes) / 1_048_576).toFixed(1)}), ` +
        `neighbour p99 ${quietP99.toFixed(0)} ms quiet, ${stalledP99.toFixed(0)} ms beside\n`,
    );
    expect(grownBytes).toBeLessThanOrEqual(2 * leaves * entryBytes);

    sse.resume();
    gnmi.resume();
    // Both at once: the SSE reader is sent every value, and this process reads for both.
    await eventually('both readers have all of it', long ? 300_000 : 120_000, () => {
      expect(gnmi.end).toBeNull();
      return audit.differences().length === 0 && holdsState();
    });
    sse.close();
    gnmi.close();
    neighbour.client.close();
    process.stdout.write(
      `stalled readers go on: gNMI ${gnmi.updates - walked} updates for ${gnmi.duplicates - merged} more, SSE ${audit.updates} updates for ${audit.coalesced} more\n`,
    );
    expect(gnmi.updates - walked + gnmi.duplicates - merged).toBe(produced);
    expect(audit.wrong).toEqual([]);
    expect(audit.updates + audit.coalesced - sent).toBe(produced);
    if (long) expect(stalledP99).toBeLessThanOrEqual(Math.max(2 * quietP99, 150)); // milliseconds need a machine of their own
  },
  long ? 600_000 : 180_000,
);
